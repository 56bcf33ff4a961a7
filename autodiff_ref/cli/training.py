"""`manual-grad train` and `predict`: what they may be told. What they do is in `train.commands`, which imports JAX."""

from pathlib import Path
from typing import Annotated

import typer

Separator = Annotated[
    str | None,
    typer.Option(help="What separates the columns of a text file; by default a comma, a tab in .tsv.", show_default=False),
]
Decimal = Annotated[str, typer.Option(help="The decimal point of a text file: . or ,")]


def train_command(
    data: Annotated[
        Path,
        typer.Argument(help="Examples: .csv, .tsv with a header (also .gz), .parquet, .npy, or .npz with arrays x and y."),
    ],
    label: Annotated[
        str, typer.Option(help="The label's column by name; its number for .npy, the name of its array for .npz.")
    ] = "y",
    hidden: Annotated[
        str, typer.Option(help="Units of the hidden layers, as 2 or 64,32; 0 for none: logistic regression.")
    ] = "2",
    activation: Annotated[str, typer.Option(help="The squashing function within: sigmoid, tanh or relu.")] = "sigmoid",
    bias: Annotated[bool, typer.Option(help="Whether layers have biases; with --hidden 2 and none, the notes' net.")] = True,
    epochs: Annotated[int, typer.Option(help="Passes over the examples, at most; iterations for lbfgs.")] = 50,
    batch: Annotated[str, typer.Option(help="Examples a step, or full.")] = "32",
    output: Annotated[
        str, typer.Option(help="classes; or identity, where the label is a number to be predicted: regression.")
    ] = "classes",
    optimizer: Annotated[
        str, typer.Option(help="sgd, lbfgs, or with the extra train the name of one of optax's: adam, adamw, …")
    ] = "sgd",
    learning_rate: Annotated[float, typer.Option(help="Step length.")] = 0.1,
    momentum: Annotated[float, typer.Option(help="Of sgd.")] = 0.9,
    weight_decay: Annotated[float, typer.Option(help="λ of −λ/2 ‖W‖², which is added to the log-likelihood.")] = 0.0,
    weights: Annotated[str | None, typer.Option(help="A column that says how often each example counts.")] = None,
    leave_out: Annotated[
        list[str] | None, typer.Option(help="A column that is no feature, such as an id; may be given again.")
    ] = None,
    separator: Separator = None,
    decimal: Decimal = ".",
    missing: Annotated[
        str, typer.Option(help="Where values are missing: refuse, drop their rows, or fill in the mean of their column.")
    ] = "refuse",
    categories: Annotated[
        str, typer.Option(help="Columns of text: refuse, or one-hot, a feature for each of their values.")
    ] = "refuse",
    gradient: Annotated[str, typer.Option(help="hand: the hand-derived gradient. autodiff: jax.grad.")] = "hand",
    standardise: Annotated[bool, typer.Option(help="Centre and scale every column by the training share.")] = True,
    validation: Annotated[float, typer.Option(help="Share of the examples held out to decide when to stop.")] = 0.0,
    patience: Annotated[int, typer.Option(help="Epochs without a better validation ll before stopping.")] = 10,
    shuffle: Annotated[str, typer.Option(help="examples, batches (faster), none, or auto.")] = "auto",
    float64: Annotated[bool, typer.Option("--float64", help="Compute in float64; float32 otherwise.")] = False,
    seed: Annotated[int, typer.Option(help="The same seed gives the same weights on one machine.")] = 0,
    checkpoint: Annotated[
        Path | None, typer.Option(help="A folder for the state of the training, from which it can go on; extra train.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint in --checkpoint.")] = False,
    devices: Annotated[int, typer.Option(help="Devices that share each batch; on a CPU as many are made of it.")] = 1,
    coordinator: Annotated[
        str | None, typer.Option(help="host:port of process 0, where several processes train together.")
    ] = None,
    processes: Annotated[int, typer.Option(help="How many processes there are.")] = 1,
    process_id: Annotated[int, typer.Option(help="Which of them this is, from 0. Process 0 prints and saves.")] = 0,
    save: Annotated[Path | None, typer.Option(help="A folder, or a .npz file, for the model.")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="A picture of the loss curve, and of the boundary for two features; extra plot.")
    ] = None,
    test_share: Annotated[
        float, typer.Option(help="Share of the examples kept apart, of every class alike, to say what the model is worth.")
    ] = 0.0,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare",
            help="Fit scikit-learn's logistic (or linear) regression too, and report it beside the net on what --test-share "
            "keeps apart; off by default; extra sklearn.",
        ),
    ] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Also what each gradient costs an example.")] = False,
    stream: Annotated[
        bool,
        typer.Option(
            "--stream", help="Read the examples again for every epoch, for files larger than memory: .npy, .parquet."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Train a net of logistic output on labelled examples, with the hand-derived gradient.

    The label may have any two values; which is −1 and which +1 is shown, and kept with the model. With more values the
    output is a softmax.
    Everything is checked before training begins. Nothing in a data file is executed.
    """
    told = locals()
    from autodiff_ref.train.commands import train

    train(**told)


def predict_command(
    model: Annotated[Path, typer.Argument(help="What `manual-grad train --save` has written.")],
    data: Annotated[Path, typer.Argument(help="Examples with the columns the model was trained on.")],
    separator: Separator = None,
    decimal: Decimal = ".",
) -> None:
    """Predict the labels of new examples, as CSV on stdout: the label, and of two classes the probability of the second.

    Of more than two classes there is a column for the probability of each; of a net that predicts numbers the number alone.

    Columns of CSV files are found by their names; columns that the model does not know are left aside.
    """
    told = locals()
    from autodiff_ref.train.commands import predict

    predict(**told)
