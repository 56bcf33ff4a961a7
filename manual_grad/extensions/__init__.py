"""What researchers derive next, one file a derivation, in the form of `manual_grad.notes`.

Each file holds the model, the lines from ∇ to a closed form, the closed form in batches as it should be computed, and the
`Derivation`. `manual-grad verify manual_grad.extensions` judges all of them, `manual-grad new mine --from NAME` copies one.
"""
