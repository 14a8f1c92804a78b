# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # PCB defect detection, from labelled boards to the warehouse
#
# Labelled board images go in. What comes out is a detector whose figures were measured on boards that it has not seen,
# a version of it in the registry, and rows in the warehouse that SQL and the dashboard read.
#
# Each board is compared with its **reference**, a known-good image of the same board. Six classes of defect are found:
# open, short, mousebite, spur, spurious copper and pin-hole.
#
# | section | what it does |
# |---|---|
# | 0 Set-up | finds out where this runs, reads the parameters |
# | 1 Boards | which defects there are, how large, on which boards; that no board is on both sides of a split |
# | 2 Conversion | labels as YOLO lines, rows in `pcb_labeled_data` |
# | 3 Training | the product's own loop, with the engine of this place |
# | 4 Curves | had the training come to its end? |
# | 5 Performance | by class, on boards that were held out, with intervals |
# | 6 Samples | boards beside their references, with what was found |
# | 7 Threshold | what a miss costs, what a false call costs, and the operating point |
# | 8 Registration | a version with its card; who promotes it |
# | 9 Inspection | rows in the warehouse, and SQL over them |
#
# The same cells run on a laptop, without an account or a network, and in a Snowflake notebook on Container Runtime:
# the engine, the warehouse, the registry and the boards are found by where they run.
#
# **About the outputs that this file comes with.** They are of synthetic boards that the product drew, and of a short
# run on one CPU core. They show what the notebook does, not how good the detector is: real scans are harder. Figures on
# real boards are in `docs/models.md`; for your own, set `DATA` below.

# %% [markdown]
# ## 0 Set-up
#
# The first cell finds Copperline, or says how to get it. All parameters are in the second one; a variable of the
# environment, such as `COPPERLINE_NOTEBOOK_EPOCHS`, wins over it.

# %%
from pathlib import Path

try:
    from copperline.workflows import notebook as nb
except ModuleNotFoundError as missing:
    # In Snowflake, `copperline snowflake deploy` puts Copperline's own wheel beside this notebook.
    beside = next(Path().glob("copperline-*.whl"), None)
    package = f"./{beside}[train,snowflake]" if beside else "copperline[train,notebook]"
    raise ModuleNotFoundError(
        f"{missing.name} is not installed here: run `%pip install '{package}'` in a cell above, then this one again"
    ) from missing

# %% tags=["parameters"]
DATA = None  # folder of labelled boards, in DeepPCB's layout or another; None: in Snowflake the table's, else drawn
EPOCHS = 10  # of training; each takes some seconds for a hundred boards on one core
BOARDS = 240  # at most so many, over all splits
WORKSPACE = None  # folder of everything that is made; None: as in copperline.toml, else copperline-workspace, here
SEED = 0  # of drawn boards and of training
PROMOTE = False  # whether a version that is not the first becomes champion at once

# %%
parameters = nb.Parameters.of(data=DATA, epochs=EPOCHS, boards=BOARDS, workspace=WORKSPACE, seed=SEED, promote=PROMOTE)
place = nb.find_place(parameters)
settings = place.settings
place.table()

# %% [markdown]
# ## 1 Boards
#
# A board has a test image, a reference and labels. Only the test image is labelled: a reference has no defect, and is
# never trained on as if it had.

# %%
boards = nb.find_boards(place, parameters)
taxonomy = boards.dataset.taxonomy
print(boards.in_words)
nb.splits_table(boards.dataset, boards.report)

# %%
from copperline.evaluation.data_plots import class_distribution, defect_sizes

nb.Picture.of_figure(
    class_distribution(boards.report.class_counts, taxonomy),
    alt="Bars: number of labelled defects of each class, one bar for each split",
)

# %% [markdown]
# *Labelled defects of each class. A class with few labels in `test` has wide intervals in section 5; one with few in
# `train` is learned worse.*

# %%
nb.sizes_table(boards.dataset)

# %%
nb.Picture.of_figure(
    defect_sizes(boards.dataset), alt="A cloud of points for each class: width and height of its labelled boxes in px"
)

# %% [markdown]
# *Width and height of every labelled box; the number is the median of the longer side. Defects are small beside the
# board, so training shows the network crops around them and not whole boards.*

# %%
nb.labelled_samples(boards.dataset.split("train"), taxonomy)

# %% [markdown]
# *Boards of `train` with their labelled defects, chosen so that they show as many classes as possible.*
#
# Boards of one product look alike. If a product is on both sides of the split, validation measures what the network
# remembers. So `train` and `val` are split by **board group**, always in the same way, and the next table counts what
# two splits have in common. The data set's own test list may have other boards of products that were trained on; it
# must have none of the same boards.

# %%
from copperline.data.split_check import shared_between_splits

nb.shared_table(shared_between_splits(boards.dataset))

# %% [markdown]
# ## 2 Conversion
#
# The boards are copied into the workspace, written in YOLO's layout for other tools, and their rows go to the table
# `pcb_labeled_data`: image, reference, and the labels as YOLO lines.

# %%
dataset, yolo_folder = nb.take_in(place, boards)
nb.conversion_table(next(pair for pair in dataset if len(pair.labels)))

# %% [markdown]
# *The labels of one board before and after. Below: what was written, read back and compared.*

# %%
from copperline.data import read_yolo

written, _ = read_yolo(yolo_folder, taxonomy)
print(f"{len(written)} of {len(dataset)} boards read back from the YOLO folder")
print(f"label files of test images: {len(list(yolo_folder.glob('labels/**/*.txt')))}")
print(f"label files of references: {len(list(yolo_folder.glob('references/**/*.txt')))}")

# %%
from copperline.workflows.querying import query_warehouse

BOARDS_BY_SPLIT = """
SELECT split, COUNT(*) AS boards, COUNT(reference_bytes) AS with_reference,
       SUM(CASE WHEN label_text = '' THEN 1 ELSE 0 END) AS without_defects
FROM pcb_labeled_data GROUP BY split ORDER BY split
"""
nb.result_table(query_warehouse(settings, BOARDS_BY_SPLIT, {}))

# %% [markdown]
# *The table keeps the boards of every import, so there may be more in it than were taken in just now.*

# %% [markdown]
# ## 3 Training
#
# One loop trains everywhere: here, in several processes, on a Ray cluster, on Snowflake. The engine that starts it is
# found by context. Training looks at `train` alone; after each epoch it measures on `val`, and at the end it chooses
# the operating point there. The model is then exported to ONNX and compared with the trained network.

# %%
config = nb.training_config(parameters, boards)
trained = nb.train_here(place, dataset, config)
print(f"{config.network}: {trained.info.parameters:,} parameters, {trained.seconds:.0f} s in training steps")
print(f"exported model against trained network: {trained.parity.note}, difference {trained.parity.max_difference:.1e}")

# %% [markdown]
# ## 4 Curves
#
# The verdict below follows a rule: mAP50:95 on `val` in the last third of the epochs is compared with what came before.
#
# - **overfitting**: it was best earlier and ends more than one percentage point below, while the loss still fell;
# - **still improving**: the last third raised the best by more than one percentage point;
# - **unsteady**: it does neither, but dips by more than that;
# - **converged**: it stays within one percentage point of the best.
#
# The learning rate falls to almost nothing at the end of a run, so every curve becomes flat there. "Converged" says
# that this run had no more to give, not that a longer one would find no more.

# %%
from copperline.evaluation import judge_convergence
from copperline.evaluation.plots import learning_curves

convergence = judge_convergence(trained.history)
print(convergence)
nb.Picture.of_figure(
    learning_curves(trained.history), alt=f"Loss on train and average precision on val by epoch. {convergence}"
)

# %% [markdown]
# *Left: the loss on `train` and its parts. Right: average precision on `val`; its scale does not begin at zero.*

# %% [markdown]
# ## 5 Performance by class
#
# On `test`: boards that neither training nor the choice of the operating point has looked at. Precision and recall are
# at the operating point, which was chosen on `val` (section 7). Clean boards are test images whose defects were painted
# over with the reference's pixels: what is called on them is a false call.

# %%
from copperline.inspection import Detector
from copperline.workflows.evaluating import measure

detector = Detector.load(trained.path, settings=settings)
measured = measure(detector, dataset.split("test"))
nb.figures_table(measured.evaluation)

# %%
nb.classes_table(measured.evaluation)

# %%
from copperline.evaluation.plots import class_average_precisions, confusion_matrix

nb.Picture.of_figure(
    class_average_precisions(measured.evaluation, taxonomy),
    alt="Bars: AP33, AP50 and AP50:95 of each class on the test boards, as in the table above",
)

# %% [markdown]
# *Average precision in per cent: AP33 (full colour), AP50 and AP50:95 (palest), which also asks for tight boxes.*

# %%
nb.Picture.of_figure(
    confusion_matrix(measured.evaluation.confusion),
    alt="Matrix of labelled class by called class; the last row is false detections, the last column missed labels",
)

# %% [markdown]
# *What was called of each labelled class, at the operating point. Last column: missed. Last row: false detections.*

# %% [markdown]
# ## 6 Samples
#
# Test boards beside their references: those with the most errors first, a third of them ordinary ones. Coloured boxes
# are what was called, with its confidence in per cent; dashed boxes are the labels.

# %%
nb.predicted_samples(measured)

# %% [markdown]
# *A dashed box without a coloured one is a miss; a coloured one without a dashed one is a false detection, or a defect
# that nobody labelled.*

# %% [markdown]
# ## 7 Confidence and threshold
#
# A low threshold finds more and calls more good boards; a high one the reverse. That choice belongs to whoever pays for
# both, and it is made on `val`: made on `test` it would flatter the figures of section 5.

# %%
from copperline.evaluation import sweep_thresholds
from copperline.evaluation.plots import threshold_curves

on_validation = measure(detector, dataset.split("val"))
labels = [pair.labels for pair in on_validation.pairs]
sweep = sweep_thresholds(on_validation.detections, labels, on_validation.clean_detections)
nb.Picture.of_figure(
    threshold_curves(sweep, detector.operating_point.thresholds, taxonomy),
    alt="Recall, precision and F-score on val by confidence threshold, and beside it the number of errors",
)

# %% [markdown]
# *One threshold for all classes, on `val`. The coloured ticks at the bottom are the thresholds that were chosen, one
# for each class, in the classes' colours. Errors: linear to 10, then logarithmic.*

# %%
nb.prices_table(sweep, (1, 10, 100, 1000))

# %% [markdown]
# *How many reviews of a false call is one missed defect worth? The cheapest common threshold for four answers. These
# are misses among labelled defects; how many escape on a line is known only from reviews and audits there.*

# %%
from copperline.evaluation import match
from copperline.evaluation.plots import confidence_histogram

nb.Picture.of_figure(
    confidence_histogram(match(on_validation.detections, labels), taxonomy, detector.operating_point.thresholds),
    alt="Histograms by class: confidence of true and of false detections on val, with the chosen threshold",
)

# %% [markdown]
# *True and false detections on `val` by confidence. Dashed: the chosen threshold. Where the two colours lie apart, the
# choice is easy.*

# %%
print(detector.operating_point.criterion)
nb.thresholds_table(on_validation.evaluation, taxonomy)

# %% [markdown]
# *The operating point, in words and by class. It is part of the model file; a reviewer can change it in the dashboard's
# Vision Lab to see what would be called, and a line by its settings.*

# %% [markdown]
# ## 8 Registration
#
# The model becomes a version in the registry, with a card that says what it was trained and measured on and what it is
# not good for. The first version becomes `champion`, which is what inspects. A later one becomes `challenger`: what
# inspects changes only when a person promotes it, here with `PROMOTE`, or in the dashboard after a comparison.

# %%
from copperline.registry import open_registry

version = nb.register_here(place, trained, dataset, measured, promote=parameters.promote)
registry = open_registry(settings)
nb.versions_table(registry.versions())

# %%
print("\n".join(f"- {limitation}" for limitation in registry.read_card(version).limitations))

# %% [markdown]
# *What the card says that this model is not good for.*

# %% [markdown]
# ## 9 Inspection into the warehouse
#
# The registered version inspects the test boards as a line would, and every board leaves a row, the good ones too. Its
# line, product and time are made up, since these boards come from no line: the rows say `simulated`.

# %%
batch = nb.inspect_here(settings, version, dataset)
print(f"{batch.inspected} boards inspected, {batch.new} of them new rows, {batch.defects} defects called")

# %%
CALLS_BY_LINE = """
SELECT m.factory_line_id AS line, m.source, COUNT(*) AS boards,
       SUM(CASE WHEN i.call = 'FAIL' THEN 1 ELSE 0 END) AS failed,
       SUM(i.defect_count) AS defects
FROM inspections i JOIN pcb_metadata m ON m.board_id = i.board_id
WHERE i.model_version = :version AND i.station_id = 'notebook'
GROUP BY m.factory_line_id, m.source ORDER BY line
"""
nb.result_table(query_warehouse(settings, CALLS_BY_LINE, {"version": str(version.version)}))

# %%
DEFECTS_BY_CLASS = """
SELECT detected_class, COUNT(*) AS defects, COUNT(DISTINCT board_id) AS boards, AVG(confidence_score) AS confidence
FROM defect_logs WHERE model_version = :version GROUP BY detected_class ORDER BY defects DESC, detected_class
"""
nb.result_table(query_warehouse(settings, DEFECTS_BY_CLASS, {"version": str(version.version)}))

# %% [markdown]
# *Calls by line, and the Pareto of the called defects: the questions that the dashboard answers with denominators,
# intervals and trends.*

# %%
print(place.next_steps())

# %% [markdown]
# ## Next steps
#
# - Your own boards: set `DATA` to a folder, see `docs/data.md`. A new product without labels: `docs/golden-only.md`.
# - Longer training, or several workers: more `EPOCHS`, `docs/training-on-many-machines.md`.
# - What the model still gets wrong: `copperline evaluate --errors`, `docs/evaluation.md`.
# - A camera or a machine on the line: `docs/line.md`.
