"""Which files make a board: every order of events, with a clock of its own."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from copperline.line.watching.intake import FoundBoard, Intake
from copperline.line.watching.pattern import Pattern
from copperline.line.watching.scanning import FileState

SETTLE, PAIR_WAIT = 1.0, 10.0
NAMES = ("A.png", "A_test.png", "A_test.jpg", "A_temp.png", "B_test.png", "B_temp.png", "x/A_test.png")


def state(version: int = 0, mtime: int = 0) -> FileState:
    return FileState(100 + version, mtime, 1)


def intake(**more: float) -> Intake:
    return Intake(Pattern(), **{"settle_s": SETTLE, "pair_wait_s": PAIR_WAIT, **more})


def names(boards: list[FoundBoard]) -> list[tuple[str, str | None]]:
    return [(b.test.path, None if b.reference is None else b.reference.path) for b in boards]


def test_a_file_counts_when_it_has_not_changed_for_a_while() -> None:
    folder = intake()
    folder.update({"B1.png": state(0)}, 0.0)
    folder.update({"B1.png": state(1)}, 0.9)
    assert folder.ready(1.5) == []
    assert folder.next_change(1.5) == 1.9
    assert names(folder.ready(1.9)) == [("B1.png", None)]


def test_a_test_image_waits_for_the_reference_that_its_name_promises() -> None:
    folder = intake()
    folder.update({"B1_test.png": state()}, 0.0)
    assert folder.ready(10.9) == []
    assert folder.waiting(5.0).tests == 1
    late = folder.ready(11.0)
    assert names(late) == [("B1_test.png", None)]
    assert late[0].reference_missed
    folder.update({"B1_test.png": state(), "B1_temp.bmp": state()}, 5.0)
    assert folder.ready(5.5) == []
    assert names(folder.ready(6.0)) == [("B1_test.png", "B1_temp.bmp")]
    # A reference that is still being written is waited for, however long it takes.
    folder.update({"B1_test.png": state(), "B1_temp.bmp": state(1)}, 20.0)
    assert folder.ready(20.5) == []


def test_a_reference_alone_waits_for_its_test_image() -> None:
    folder = intake()
    folder.update({"B1_temp.png": state()}, 0.0)
    assert folder.ready(100.0) == []
    assert folder.waiting(100.0).references == 1
    assert folder.next_change(100.0) is None


def test_the_oldest_comes_first() -> None:
    folder = intake()
    folder.update({"a.png": state(mtime=5), "c.png": state(mtime=3), "b.png": state(mtime=3)}, 0.0)
    assert [b.test.path for b in folder.ready(1.0)] == ["b.png", "c.png", "a.png"]


def test_a_reference_stays_while_another_test_image_needs_it() -> None:
    folder = intake()
    folder.update({"B1_test.png": state(), "B1_test.jpg": state(), "B1_temp.png": state()}, 0.0)
    first, second = folder.ready(1.0)
    folder.take(first)
    folder.take(second)
    assert not folder.leave(first)
    assert folder.leave(second)


def test_a_board_that_is_put_back_is_left_alone_for_a_while() -> None:
    folder = intake()
    folder.update({"B1.png": state()}, 0.0)
    (board,) = folder.ready(1.0)
    folder.take(board)
    assert folder.ready(2.0) == []
    folder.release(board, hold_until=5.0)
    assert folder.ready(4.9) == []
    assert folder.next_change(2.0) == 5.0
    assert len(folder.ready(5.0)) == 1


def test_files_that_do_not_fit_are_counted() -> None:
    folder = intake()
    folder.update({"notes.txt": state(), "B1.png": state()}, 0.0)
    assert folder.waiting(0.0).foreign == 1


class Folder(RuleBasedStateMachine):
    """Files come, grow and go in any order; boards are taken, put back and finished in any order."""

    files = Bundle("files")

    @initialize()
    def begin(self) -> None:
        self.intake = intake()
        self.now = 0.0
        self.disk: dict[str, FileState] = {}
        self.scanned: dict[str, FileState] = {}
        self.since: dict[str, float] = {}
        self.taken: dict[str, FoundBoard] = {}
        self.version = 0

    @rule(
        name=st.sampled_from(
            ["A.png", "A_test.png", "A_test.jpg", "A_temp.png", "B_test.png", "B_temp.png", "x/A_test.png"]
        )
    )
    def write(self, name: str) -> None:
        if name not in self.taken:
            self.version += 1
            self.disk[name] = state(self.version, self.version)

    @rule(name=st.sampled_from(["A_temp.png", "A_test.png", "B_temp.png"]))
    def remove(self, name: str) -> None:
        if name not in self.taken:
            self.disk.pop(name, None)

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, 5.0, 20.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def scan(self) -> None:
        for name, found in self.disk.items():
            if self.scanned.get(name) != found:
                self.since[name] = self.now
        self.scanned = dict(self.disk)
        self.intake.update(self.scanned, self.now)

    @rule(back=st.booleans())
    def work(self, back: bool) -> None:
        for board in self.intake.ready(self.now):
            self.check(board)
            self.intake.take(board)
            self.taken[board.test.path] = board
        for board in list(self.taken.values()):
            if back:
                self.intake.release(board)
            else:
                takes_reference = self.intake.leave(board)
                if takes_reference and board.reference is not None:
                    self.disk.pop(board.reference.path, None)
                self.disk.pop(board.test.path, None)  # it may have gone since the scan
                self.intake.finished(board)
            del self.taken[board.test.path]

    def check(self, board: FoundBoard) -> None:
        assert board.test.path not in self.taken
        for file in (board.test, board.reference):
            if file is not None:
                assert file.state == self.scanned[file.path]
                assert self.now >= self.since[file.path] + SETTLE
        has_reference = f"{board.test.path.rpartition('_test')[0]}_temp.png" in self.scanned
        if board.reference is None and board.told.expects_reference:
            assert not has_reference
            assert self.now >= self.since[board.test.path] + SETTLE + PAIR_WAIT

    @invariant()
    def is_ordered(self) -> None:
        order = [(b.test.state.mtime_ns, b.test.path) for b in self.intake.ready(self.now)]
        assert order == sorted(order)

    def teardown(self) -> None:
        """When nothing changes any more, every test image is handed out in the end."""
        if not hasattr(self, "intake"):
            return
        self.scan()
        self.now += SETTLE + PAIR_WAIT + 0.01
        self.work(back=False)
        self.scan()
        assert not [name for name in self.disk if not name.endswith("_temp.png")]


TestFolder = Folder.TestCase
TestFolder.settings = settings(max_examples=60, stateful_step_count=30, deadline=None, derandomize=True)
