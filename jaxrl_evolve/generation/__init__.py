"""Generated environments: an archive of specs, who proposes new ones, and what is known of how an agent does in each."""
