"""What is made from the records of a run: pages, tables, gradebooks. None of it changes a result."""
