"""The way to Ray: a Ray of this process's own, or a cluster that runs already."""

import contextlib
import importlib
import logging
import os
import signal
import socket
import threading
import warnings
from collections.abc import Iterator
from typing import Any

_ANSWER_SECONDS = 5.0

_HTTP2_HEADER, _HTTP2_SETTINGS = 9, 4
_HTTP2_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, _HTTP2_SETTINGS, 0, 0, 0, 0, 0])
"""How a client of gRPC begins; the first frame of a server's answer is of the type SETTINGS, too (RFC 9113, 3.4)."""

_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
"""Nothing is reported to Ray's makers, and Ray does not warn of an accelerator that workers do not use."""


class RayNotInstalled(ImportError):
    """Ray is wanted, and is not installed."""


class NoRayCluster(ConnectionError):
    """There is no Ray cluster at the address, or it does not let us in."""


class RayConnection:
    """The connection of one process to Ray.

    A process has one connection at most: if there is one already, made by the user or by another fleet, it is used as
    it is, and left open.

    :ivar ray: the module.
    """

    def __init__(self, *, address: str | None, workers: int) -> None:
        """Connect.

        :param address: "auto" or "host:port" of a cluster; None starts a Ray of our own, which ends with it.
        :param workers: for how many workers a Ray of our own has room.
        :raises RayNotInstalled: if there is no Ray.
        :raises NoRayCluster: if no cluster answers at the address.
        """
        self.ray = import_ray()
        self._is_ours = not self.ray.is_initialized()
        if not self._is_ours:
            return
        with _signals_kept(), _forks_are_harmless():
            if address is None:
                self._start(workers=workers)
            else:
                self._connect(address)

    def close(self) -> None:
        """Disconnect, which ends a Ray of our own. Closing twice does nothing more."""
        ours, self._is_ours = self._is_ours, False
        if ours:
            with _forks_are_harmless():
                self.ray.shutdown()

    def _start(self, *, workers: int) -> None:
        # One worker to a "CPU", however many there are: as with worker processes, the user says how many he wants.
        with _bound_to_this_machine(self.ray):
            self.ray.init(
                address="local",
                num_cpus=workers,
                num_gpus=0,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )

    def _connect(self, address: str) -> None:
        ray = self.ray
        try:
            found = (
                ray._private.services.get_ray_address_from_environment("auto", None) if address == "auto" else address
            )
            _expect_grpc(found)
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, RuntimeError, SystemExit, ValueError, ray.exceptions.RayError) as error:
            # (Ray gives up by a SIGTERM to itself.)
            raise NoRayCluster(
                f"rollout.ray_address={address!r}: no Ray cluster answers there ({error}). `ray status` says whether "
                "one runs; `ray start --head` starts one, and rollout.ray_address=None one of the run's own. The "
                "trainer's machine must be part of the cluster, with the same versions of Python and Ray, and with the "
                "same RAY_AUTH_MODE and token."
            ) from error


def _expect_grpc(address: str) -> None:
    """Find out whether anything at an address could be Ray, which itself would try for minutes.

    :param address: "host:port".
    :raises OSError: if nothing answers, or what answers does not speak gRPC.
    :raises ValueError: if it is no address.
    """
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=_ANSWER_SECONDS) as link:
        if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
            return  # It would not answer in the clear.
        link.sendall(_HTTP2_GREETING)
        answer = link.recv(_HTTP2_HEADER, socket.MSG_WAITALL)
    if len(answer) < _HTTP2_HEADER or answer[3] != _HTTP2_SETTINGS:
        raise ConnectionError("what answers does not speak gRPC")


def import_ray() -> Any:
    """Import Ray.

    :return: the module.
    :raises RayNotInstalled: if it is not installed.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        ray = importlib.import_module("ray")
    except ImportError as error:
        raise RayNotInstalled(
            f'rollout.backend="ray" needs Ray, which is not installed ({error}): `pip install "triax[ray]"`. For '
            'workers on this machine alone, rollout.backend="processes" needs nothing more.'
        ) from error
    return ray


@contextlib.contextmanager
def _bound_to_this_machine(ray: Any) -> Iterator[None]:
    """Have a Ray that is started meanwhile listen on 127.0.0.1 only.

    Ray does so by itself on the systems where it supports no clusters, and has no argument for it on the others.
    """
    constants = ray._private.ray_constants
    before = constants.ENABLE_RAY_CLUSTER
    constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = before


@contextlib.contextmanager
def _forks_are_harmless() -> Iterator[None]:
    """Leave out JAX's warning of forks: what Ray forks becomes another program at once."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"os\.fork\(\) was called", category=RuntimeWarning)
        yield


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Put back what happens at SIGINT and SIGTERM: Ray's own handler would end the run without a checkpoint."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
