"""The pretend network of carriers and handsets: `scenario` decides, `network` does, `handsets` show, `api` asks."""
