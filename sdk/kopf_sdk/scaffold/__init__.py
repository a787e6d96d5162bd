"""Projects from templates: started, extended, rearranged and updated without losing what people wrote."""
