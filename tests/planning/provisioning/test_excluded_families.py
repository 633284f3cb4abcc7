from stratos.planning.provisioning.candidates import candidates_of
from stratos.testing.provisioning_builders import GROUND, a_gpu, a_shop, a_template, a_type

# The families of one cloud that have GPUs for training, and one of another maker.
SHOP = a_shop(
    (a_type("p2.xlarge", 4, 61, gpu=a_gpu("K80")), 0.9),
    (a_type("p2.8xlarge", 32, 488, gpu=a_gpu("K80", 8)), 7.2),
    (a_type("p3.2xlarge", 8, 61, gpu=a_gpu("V100")), 3.06),
    (a_type("p3.8xlarge", 32, 244, gpu=a_gpu("V100", 4)), 12.24),
    (a_type("p3.16xlarge", 64, 488, gpu=a_gpu("V100", 8)), 24.48),
    (a_type("p3d.24xlarge", 96, 768, gpu=a_gpu("V100-32", 8)), 31.21),
    (a_type("p4d.24xlarge", 96, 1152, gpu=a_gpu("A100-40", 8)), 21.96),
    (a_type("p4de.24xlarge", 96, 1152, gpu=a_gpu("A100-80", 8)), 27.45),
    (a_type("p5.48xlarge", 192, 2048, gpu=a_gpu("H100", 8)), 55.04),
    (a_type("g4ad.xlarge", 4, 16, gpu=a_gpu("V520", 1, "amd")), 0.379),
    (a_type("m6a.xlarge", 4, 16), 0.173),
)


def test_d03_excluded_families_and_a_maker_leave_five_types() -> None:
    """The founding text's example: p4d, p3d and p2 not wanted, NVIDIA asked for, five matches found."""
    template = a_template(
        constraints={
            "instanceFamilies": {"exclude": ["p4d", "p3d", "p2"]},
            "gpu": {"manufacturers": ["NVIDIA"]},
            "isGpuOnly": True,
        }
    )

    assert sorted(candidates_of(template, SHOP, GROUND).types) == [
        "p3.16xlarge",
        "p3.2xlarge",
        "p3.8xlarge",
        "p4de.24xlarge",
        "p5.48xlarge",
    ]
