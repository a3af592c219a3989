"""One file per action or group of related actions, which are then in menus and palette."""
