"""Values become text: ``json`` is the documented JSON, the screens are blocks that ``tables`` shows."""
