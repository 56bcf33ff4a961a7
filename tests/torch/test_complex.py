"""Complex numbers and Fourier transforms of PyTorch, in PyTorch's convention of their gradients."""

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: the extra `torch` runs these tests")
import torch.nn.functional as F  # noqa: N812 (as everyone calls it)

from autodiff_ref.torch import UndecidedError, WrongGradientError, gradcheck, gradgradcheck, judge
from tests.torch.functions import function

G = torch.Generator().manual_seed(3)
DTYPES = [torch.complex128, torch.complex64]


def reals(*shape):
    return torch.randn(*shape, generator=G, dtype=torch.float64)


def complexes(*shape):
    return torch.randn(*shape, generator=G, dtype=torch.complex128)


def written_through_its_parts(z):
    out = z * 2
    torch.view_as_real(out)[..., 0].mul_(3.0)
    return out * out


def windowed(x):
    return torch.stft(x, 4, hop_length=2, window=torch.hann_window(4, dtype=x.dtype), return_complex=True).abs() ** 2


BATTERY = {
    "elementary": (lambda z: torch.exp(z) * torch.log(z) + torch.sqrt(z), complexes(3)),
    "circular": (lambda z: torch.sin(z) + torch.cosh(z) * torch.tanh(z) + torch.sigmoid(z), complexes(3)),
    "powers": (lambda z: z**3 + z**-1 + z**0.5, complexes(3)),
    "products": (lambda z, w: z * w / (w + 3), complexes(3), complexes(3)),
    "the size": (torch.abs, complexes(3)),
    "the angle": (torch.angle, complexes(3)),
    "the direction": (torch.sgn, complexes(3)),
    "conjugates": (lambda z: z.conj() * z**2, complexes(3)),
    "parts": (lambda z: z.real * z.imag**2, complexes(3)),
    "view_as_real": (lambda z: torch.view_as_real(z) ** 2, complexes(3)),
    "view_as_complex": (lambda x: torch.view_as_complex(x) ** 2, reals(3, 2)),
    "written through its parts": (written_through_its_parts, complexes(3)),
    "of two reals": (lambda a, b: torch.complex(a, b) ** 2 + torch.polar(a.abs(), b), reals(3), reals(3)),
    "of reals": (lambda x: (x + 0j) * (1 + 2j) * x.to(torch.complex128), reals(3)),
    "matmul": (torch.matmul, complexes(2, 3), complexes(3, 2)),
    "einsum": (lambda a, b: torch.einsum("ij,kj->ik", a, b.conj()), complexes(2, 3), complexes(2, 3)),
    "sums": (lambda z: z.sum(0) * z.mean(1) + z.cumsum(1)[0], complexes(2, 2)),
    "vdot": (torch.vdot, complexes(3), complexes(3)),
    "norm": (lambda z: z.norm(), complexes(3)),
    "chosen": (lambda z: torch.where(z.real > 0, z, z.conj()) * z[[2, 0, 1]], complexes(3)),
    "concatenated": (lambda z: torch.cat([z, z.conj()]) * torch.arange(6), complexes(3)),
    "conv1d": (F.conv1d, complexes(1, 1, 4), complexes(1, 1, 2)),
    "fft": (torch.fft.fft, complexes(5)),
    "ifft": (torch.fft.ifft, complexes(2, 4)),
    "rfft": (torch.fft.rfft, reals(5)),
    "irfft": (lambda z: torch.fft.irfft(z, n=5), complexes(3)),
    "irfft, even": (torch.fft.irfft, complexes(3)),
    "hfft": (torch.fft.hfft, complexes(3)),
    "fft2": (torch.fft.fft2, complexes(2, 3)),
    "fftn": (lambda z: torch.fft.fftn(z, norm="ortho"), complexes(2, 3)),
    "rfft2": (torch.fft.rfft2, reals(3, 4)),
    "irfft2": (torch.fft.irfft2, complexes(3, 3)),
    "fftshift": (lambda z: torch.fft.fftshift(z) * torch.arange(4), complexes(4)),
    "sizes of a spectrum": (lambda x: torch.fft.rfft(x).abs(), reals(6)),
    "convolution": (
        lambda x, w: torch.fft.irfft(torch.fft.rfft(x) * torch.fft.rfft(w, n=6), n=6),
        reals(6),
        reals(3),
    ),
    "stft": (windowed, reals(8)),
}


@pytest.mark.parametrize("name", BATTERY)
def test_autograds_own_derivative_is_right(name):
    f, *inputs = BATTERY[name]
    report = judge(f, [x.clone().requires_grad_() for x in inputs], within=1e-12, beside=False)
    assert report.verdict == "right", str(report)


@pytest.mark.parametrize("name", ["products", "the size", "view_as_real", "matmul", "fft", "irfft", "rfft2", "convolution"])
def test_a_small_factor_in_one_gradient_is_seen(name):
    f, *inputs = BATTERY[name]
    inputs = [x.clone().requires_grad_() for x in inputs]
    planted = function(lambda x: x * 1, lambda g, _: g * (1 + 1e-5), "Planted")
    report = judge(lambda first, *others: f(planted.apply(first), *others), inputs, within=1e-12, beside=False)
    assert report.verdict == "WRONG", str(report)


def product(z, w):
    return z * w


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_conjugate_that_is_missing_is_wrong(dtype):
    z, w = complexes(3).to(dtype).requires_grad_(), complexes(3).to(dtype).requires_grad_()
    right = function(product, lambda g, z, w: (g * w.conj(), g * z.conj()))
    assert gradcheck(right.apply, (z, w))
    assert gradgradcheck(right.apply, (z, w))
    for backward in (lambda g, z, w: (g * w, g * z), lambda g, z, w: (g * w.conj(), (g * z).conj())):
        with pytest.raises(WrongGradientError, match="the last axis shows the real part"):
            gradcheck(function(product, backward).apply, (z, w))


def test_what_is_tried_beside_the_input_is_tried_of_complex_numbers_too():
    class Spectrum(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.length = x.shape[-1]
            return torch.fft.rfft(x)

        @staticmethod
        def backward(ctx, g):
            full = torch.zeros(*g.shape[:-1], ctx.length, dtype=g.dtype)
            full[..., : g.shape[-1]] = g
            return (torch.fft.ifft(full) * ctx.length).real

    report = judge(Spectrum.apply, (reals(2, 5).requires_grad_(),))
    assert report.verdict == "right", str(report)
    assert {trial.verdict for trial in report.trials} <= {"right", "raises"}
    assert len(report.trials) >= 8


def test_a_spectrum_whose_conjugate_half_is_forgotten_is_wrong():
    made = function(
        lambda x: torch.fft.rfft(x).abs().square().sum(), lambda g, x: g * 2 * torch.fft.irfft(torch.fft.rfft(x), n=5)
    )
    with pytest.raises(WrongGradientError):
        gradcheck(made.apply, (reals(5).requires_grad_(),))


def test_an_operation_without_a_rule_is_named():
    a = (complexes(2, 2) + 2 * torch.eye(2)).requires_grad_()
    with pytest.raises(UndecidedError, match=r"not followed \(complex numbers: the primitive `lu`"):
        gradcheck(torch.linalg.inv, (a,))
