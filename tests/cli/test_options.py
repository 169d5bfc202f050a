from parefront.cli.options import complete_profile


def test_the_shell_completes_profiles() -> None:
    assert complete_profile("cpu-ort-1t") == ["cpu-ort-1t", "cpu-ort-1t-b8"]
    assert complete_profile("my") == []
