"""Floats search: lines at thousands of inputs, with rounding bounds; suspects go to the balls."""
