def draw(e):
    return ""
