"""What is written: the folder of a model, predictions beside the rows, workbooks of digits."""
