"""Reports that people read: sections of text, tables and plots, as one HTML page that opens offline and as Markdown."""
