import dataclasses
import pickle

import pytest

from copperline.errors import TrainingError
from copperline.training.engines import TrainingJob


def test_a_job_can_be_sent_to_another_process(job: TrainingJob) -> None:
    sent = pickle.loads(pickle.dumps(job))
    assert (sent.config, sent.data_hash, sent.total_steps) == (job.config, "abc", 30)
    assert [pair.test_path for pair in sent.pairs] == [pair.test_path for pair in job.pairs]


def test_the_outline_states_what_does_not_change_with_the_number_of_workers(job: TrainingJob) -> None:
    assert job.outline(1, "1 core") == "1 worker with 1 core; 8 crops a step; learning rate 0.006; 30 steps"
    assert (
        job.outline(2, "2 cores", done=12)
        == "2 workers with 2 cores each; 8 crops a step, 4 for each worker; learning rate 0.006; 30 steps, 12 of them "
        "done before"
    )
    uneven = dataclasses.replace(job, config=job.config.model_copy(update={"micro_batch": 2}))
    assert "8 crops a step, 2 to 4 for each worker" in uneven.outline(3, "1 core")


def test_more_workers_than_micro_batches_are_refused(job: TrainingJob) -> None:
    with pytest.raises(TrainingError, match="expected at most 2 workers for batches of 8 crops"):
        job.outline(3, "1 core")
