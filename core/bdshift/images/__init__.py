"""A folder, archive or array becomes batches of pixels; what a network expects of them."""
