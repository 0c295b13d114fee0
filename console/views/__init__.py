"""The pages. A view loads with permission, takes a form, makes one service call and renders."""
