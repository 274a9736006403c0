"""The common style of all pages, charts and tables.

* `html`: one HTML page: shell, headings, tables, figures, notices, with all text escaped
* `plots`: one chart style: figures, colors, ticks, saving as SVG or PNG, and the chart of ESR per setting
* `text_tables`, `text_plots`: tables and charts as lines of text, for terminals
"""
