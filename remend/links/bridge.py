"""The bridge of a robot in real time: it speaks to the service and to the robot, and its loop depends on neither.

It may stall for as long as it likes; what it does not bring is late, and the loop counts it as the machine's.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection

from controllers.host import Host
from controllers.lines import Reply
from controllers.loop import ForgetTiming
from controllers.processes import Processes, Setup
from controllers.requests import AskStatus, Done, Refusal, StagePatch, Stop
from core.errors import BadInput, Refused, RobotFault, SignatureInvalid
from core.frames import Frame, Reference
from remend.links.messages import Lost, Request


class Bridge:
    """Between link, robot and loop. The robot waits for each command, as a simulated one does.

    Args:
        setup: of the robot.
        host: its controllers, which go on in the loop's process from here.
        link: to the service.
        line: to the robot; readable when there is a measurement.
        measure: the measurement that is there.
        reply: gives the robot its command.
    """

    def __init__(
        self,
        setup: Setup,
        host: Host,
        link: Connection,
        line: Connection,
        measure: Callable[[], tuple[Frame, Reference]],
        reply: Callable[[Reply], None],
    ) -> None:
        self._link, self._line, self._measure, self._reply = link, line, measure, reply
        host.clerk.close()  # its thread would not live on in the loop's process
        self._processes = Processes(setup, host)
        signal.signal(signal.SIGUSR1, lambda *_: os.kill(self._processes.loop_pid, signal.SIGUSR1))
        self._processes.pace(free_running=False)
        self._asked = False  # whether the loop has a measurement that it has not answered
        self._owes_staging = False

    def serve(self) -> None:
        """Run until the link or the robot hangs up."""
        try:
            while True:
                self._turn()
        except RobotFault as fault:
            self._link.send(Lost(why=str(fault)))

    def _turn(self) -> None:
        link, line = self._link.fileno(), self._line.fileno()
        others = []
        if not self._owes_staging:  # one request at a time, and none while one is open
            others.append(link)
        if not self._asked:
            others.append(line)
        ready = self._processes.wait(*others)
        self._pass_command()
        if line in ready:
            self._asked = True
            self._processes.send_frame(*self._measure())
        if self._owes_staging:
            self._look_for_staging()
        else:
            self._processes.look_after_helper()
        if link in ready:
            self._answer(self._link.recv())

    def _pass_command(self) -> None:
        if self._asked and (reply := self._processes.take_reply()) is not None:
            self._asked = False
            self._reply(reply)

    def _answer(self, request: Request) -> None:
        try:
            match request:
                case StagePatch():
                    self._ask(ForgetTiming())
                    self._processes.begin_staging(request)
                    self._owes_staging = True  # answered when it has got to the loop, which goes on meanwhile
                    return
                case Stop():
                    self._processes.close()
                    raise EOFError
                case AskStatus():
                    self._link.send(self._ask(request))
                    return
                case _:
                    self._ask(request)
        except (Refused, BadInput) as error:
            self._refuse(error)
            return
        self._link.send(Done())

    def _ask(self, request: object) -> object:
        return self._processes.ask(request, self._pass_command)

    def _look_for_staging(self) -> None:
        processes = self._processes
        try:
            if processes.staging and not processes.end_staging():
                return
            if not processes.was_staged:
                raise Refused("the control loop has ended and started again meanwhile; stage the patch again")
        except (Refused, BadInput) as error:
            self._refuse(error)
        else:
            self._link.send(Done())
        self._owes_staging = False

    def _refuse(self, error: Refused | BadInput) -> None:
        self._link.send(Refusal(why=str(error), signature=isinstance(error, SignatureInvalid)))
