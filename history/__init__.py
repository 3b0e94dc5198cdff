"""The product: positions, cutoffs, floors, delivery, reclaim. It knows neither HTTP nor the queue."""
