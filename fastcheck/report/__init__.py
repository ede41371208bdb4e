"""What people see: data, sentences, text, HTML, JSON, pictures.  Renderers take plain data and judge nothing."""
