"""Files of tables: their cells, their header, and what is written in each column."""
