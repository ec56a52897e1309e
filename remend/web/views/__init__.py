"""What each page shows, as plain data: records in, words out. Templates only lay it out."""
