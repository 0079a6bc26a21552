"""What runs came to: statistics, scores, figures, reports."""
