"""`atoll console`: a web page that shows and changes the tables of a DynamoDB endpoint.

The console is a client: it calls the public APIs of any endpoint, and Atoll's administration where it finds Atoll. It
shows only the features that the endpoint has. NiceGUI builds the pages; `static` has the few components of our own.

    command    the options of `atoll console`; starts the web server
    child      the console that `atoll serve --console` starts
    endpoint   calls of the endpoint, in threads; refuses writes in read-only mode
    features   the features that the endpoint has
    guard      the requests of browsers that are served; sign-in
    web        the web application: the guard, the pages, the files
    shell      the parts of every page: header, navigation, errors
    widgets    the elements of which pages consist; `widgets_diff` shows two images
    pages      a module for each page

Pure modules: `values` (items as text), `search` (queries, scans and PartiQL), `samples` (requests as code), `saving`
(an edit as a conditional update), `images` (two images compared), `spreadsheet` (CSV), `lineage` (shards in
generations), `drawing` (SVG), `places` (where regions are), `sizes` (numbers and times as texts).
"""
