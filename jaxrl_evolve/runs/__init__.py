"""One run as pure functions: acting, evaluating, updating; and axes of many runs."""
