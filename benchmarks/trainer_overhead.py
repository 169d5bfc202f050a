"""What `finetune` costs over a bare PyTorch loop that does the same work: at most 3 % is the aim.

Both train copies of one network on the same batches, with the same optimiser, rates, loss and clipping, in turns; CPU
seconds are counted, so a busy machine disturbs little. The weights that come out must be equal to the last bit.

    python -m benchmarks.trainer_overhead [--rounds 9]
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from parefront.spaces import Configuration, prepare, trace
from parefront.tasks.residual_networks import FusedResNet
from parefront.training import Split, Teacher, TrainingRecipe, finetune, soft_target_loss
from parefront.training.schedules import one_cycle

RESULTS = Path(__file__).parent / "results" / "trainer_overhead.json"
MOST = 1.03
RECIPE = TrainingRecipe(n_samples=1_280, learning_rate=0.05, distillation_weight=0.5, linearisation=0.3)
"""As the short fine-tune of cluttered-digits, with fewer steps."""
SEED = 0


def bare_loop(module: nn.Module, train: Split, teacher: Teacher) -> None:
    """What a person would write for this one recipe."""
    torch.manual_seed(SEED)
    module.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    parameters = list(module.parameters())
    optimiser = torch.optim.SGD(
        parameters, RECIPE.learning_rate, RECIPE.momentum, weight_decay=RECIPE.weight_decay, nesterov=True
    )
    size, n_steps = RECIPE.batch_size, RECIPE.n_steps(len(train))
    generator, order = torch.Generator().manual_seed(SEED), torch.empty(0, dtype=torch.long)
    for step in range(n_steps):
        if len(order) < size:
            order = torch.randperm(len(train), generator=generator)
        chosen, order = order[:size], order[size:]
        for group in optimiser.param_groups:
            group["lr"] = RECIPE.learning_rate * one_cycle(step / n_steps, RECIPE.warmup)
        outputs = module(train.inputs[chosen].contiguous(memory_format=torch.channels_last))
        soft = soft_target_loss(outputs, teacher.outputs[chosen], RECIPE.temperature)
        weight = RECIPE.distillation_weight
        loss = (1 - weight) * functional.cross_entropy(outputs, train.targets[chosen]) + weight * soft
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, RECIPE.max_gradient_norm)
        optimiser.step()
    module.eval()


def compare(width: int, rounds: int) -> dict[str, float]:
    """Median CPU seconds of both over the rounds, and the median of their ratios."""
    torch.manual_seed(SEED)
    train = Split(torch.randn(1_024, 1, 32, 32), torch.randint(10, (1_024,)))
    teacher = Teacher(torch.randn(1_024, 10))
    network = prepare(trace(FusedResNet(width, (3, 4, 3)).eval(), train.inputs[:2]), Configuration())
    works: dict[str, Callable[[nn.Module], object]] = {
        "bare": lambda module: bare_loop(module, train, teacher),
        "finetune": lambda module: finetune(
            module, train, RECIPE, functional.cross_entropy, seed=SEED, teacher=teacher
        ),
    }
    seconds: dict[str, list[float]] = {name: [] for name in works}
    trained: dict[str, nn.Module] = {}
    for position in range(rounds + 1):
        for name in reversed(list(works)) if position % 2 else works:
            trained[name] = copy.deepcopy(network)
            started = time.process_time()
            works[name](trained[name])
            if position:  # the first round loads libraries and fills caches
                seconds[name].append(time.process_time() - started)
    bare = trained["bare"].state_dict()
    for name, own in trained["finetune"].state_dict().items():
        assert torch.equal(own, bare[name]), f"{name}: the two did not do the same work"
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    pairs = zip(seconds["finetune"], seconds["bare"], strict=True)
    return {
        "width": width,
        "n_steps": RECIPE.n_steps(len(train)),
        "bare_cpu_s": round(medians["bare"], 4),
        "finetune_cpu_s": round(medians["finetune"], 4),
        "ratio_of_medians": round(medians["finetune"] / medians["bare"], 4),
        "median_of_ratios": round(statistics.median(a / b for a, b in pairs), 4),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--widths", type=int, nargs="+", default=[48, 16, 8])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = [compare(width, arguments.rounds) for width in arguments.widths]
    RESULTS.write_text(json.dumps({"most": MOST, "networks": rows}, indent=2) + "\n")
    for row in rows:
        print(row)
    return int(any(row["ratio_of_medians"] > MOST for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
