"""What a network runs on: hardware profiles, precision plans, runtimes and the measuring of latency.

Nothing here imports torch, so that the measuring process and the command line stay light. Writing ONNX files needs it:
import `parefront.hardware_profiles.export.qdq` for that.
"""

from __future__ import annotations

from .common_capabilities import common_capabilities
from .errors import (
    ExportError,
    MeasurementError,
    ParefrontError,
    ProfileError,
    SearchError,
    SpaceError,
    TaskError,
    TrainingError,
    unknown_name,
)
from .fingerprint import Fingerprint, fingerprint
from .host_check import check_host, check_machine
from .measuring.lease import CoreLease, wait_while_measured
from .measuring.measurement import Measurement, compare
from .measuring.meter import Meter
from .precision import PrecisionPlan, TensorQuantization
from .profile import (
    Capabilities,
    HardwareProfile,
    Host,
    Limits,
    MeterProtocol,
    RuntimeSettings,
    Target,
    Workload,
)
from .profile_files import load_profile, profile_names
from .runtimes import (
    ExecutedPrecision,
    OperatorTime,
    Runtime,
    RuntimeFacts,
    Session,
    check_runtime,
    executed_precision,
    get_runtime,
    runtime_facts,
    runtime_names,
)
from .transport.transport import Transport, WorkerProcess

__all__ = [
    "Capabilities",
    "CoreLease",
    "ExecutedPrecision",
    "ExportError",
    "Fingerprint",
    "HardwareProfile",
    "Host",
    "Limits",
    "Measurement",
    "MeasurementError",
    "Meter",
    "MeterProtocol",
    "OperatorTime",
    "ParefrontError",
    "PrecisionPlan",
    "ProfileError",
    "Runtime",
    "RuntimeFacts",
    "RuntimeSettings",
    "SearchError",
    "Session",
    "SpaceError",
    "Target",
    "TaskError",
    "TensorQuantization",
    "TrainingError",
    "Transport",
    "WorkerProcess",
    "Workload",
    "check_host",
    "check_machine",
    "check_runtime",
    "common_capabilities",
    "compare",
    "executed_precision",
    "fingerprint",
    "get_runtime",
    "load_profile",
    "profile_names",
    "runtime_facts",
    "runtime_names",
    "unknown_name",
    "wait_while_measured",
]
