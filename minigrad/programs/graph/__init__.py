"""The graph of single numbers: of which numbers each one is made, for pages and spreadsheets."""
