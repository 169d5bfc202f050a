"""What a network runs on: hardware profiles, precision plans, runtimes and the measuring of latency.

Nothing here imports torch, so that the measuring process and the command line stay light. Writing ONNX files needs it:
import `parefront.hardware_profiles.qdq` for that.
"""

from __future__ import annotations

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
from .lease import CoreLease
from .meter import Measurement, Meter
from .precision import PrecisionPlan, TensorQuantization
from .profile import (
    Capabilities,
    HardwareProfile,
    MeterProtocol,
    RuntimeSettings,
    Workload,
    check_host,
    load_profile,
    profile_names,
)
from .runtimes import (
    ExecutedPrecision,
    OperatorTime,
    Runtime,
    Session,
    executed_precision,
    get_runtime,
    runtime_names,
)
from .transport import Transport, WorkerProcess

__all__ = [
    "Capabilities",
    "CoreLease",
    "ExecutedPrecision",
    "ExportError",
    "Fingerprint",
    "HardwareProfile",
    "Measurement",
    "MeasurementError",
    "Meter",
    "MeterProtocol",
    "OperatorTime",
    "ParefrontError",
    "PrecisionPlan",
    "ProfileError",
    "Runtime",
    "RuntimeSettings",
    "SearchError",
    "Session",
    "SpaceError",
    "TaskError",
    "TensorQuantization",
    "TrainingError",
    "Transport",
    "WorkerProcess",
    "Workload",
    "check_host",
    "executed_precision",
    "fingerprint",
    "get_runtime",
    "load_profile",
    "profile_names",
    "runtime_names",
    "unknown_name",
]
