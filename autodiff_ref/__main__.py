"""`python -m autodiff_ref`: the command `manual-grad`."""

from autodiff_ref.cli.app import main

if __name__ == "__main__":
    main()
