# Needs only Python 3.11-3.13, git and make. Every target makes `.venv` and installs what it needs, once.
#
#   make demo       clips, prepare, train, evaluate, export, predict: the whole way, into runs/demo
#   make test       the unit tests on JAX, TensorFlow and torch          (BACKENDS="jax torch", PYTEST_ARGS="-k routing")
#   make test-slow  what takes more than a few seconds, on JAX       (KERAS_BACKEND=tensorflow, PYTEST_ARGS)
#   make lint       ruff: rules and formatting                          (make format rewrites)
#   make bench      the speed table, JSON and a plot            (BACKENDS=jax, BENCH_ARGS=--quick for a few minutes)
#   make clean      remove the environment and every cache

PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$python && break; done)
VENV ?= .venv
TORCH ?= torch==2.13.0
TRANSFORMERS ?= transformers>=4.57
BACKENDS ?= jax tensorflow torch
WORKERS ?= 2
# Tests of one file share the models that it builds, so they stay in one process; slow files begin first.
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
PYTEST_ARGS ?=
# What knows no backend, and the demonstrations, are tested once, with the first backend.
TESTED_ONCE := $(addprefix --ignore=tests/,applications/pipelines metrics routing \
	$(addprefix weights/test_,export.py files.py fuzzed_files.py haiku_mappings.py published_sizes.py swin_keras_cv_file.py) \
	weights/test_unsafe_files.py \
	weights/test_options.py \
	$(addprefix models/test_,perceiver_io_variants.py perceiver_mistakes.py zorro_vit_sizes.py) \
	$(addprefix applications/test_,cli.py demo.py convert.py freed_memory.py kept_barriers.py) \
	applications/audio_visual_classification/test_foreign_shards.py applications/reproduce applications/plan losses/test_contrastive_devices.py \
	$(addprefix applications/training/test_,asked_to_stop.py finite.py html_page.py litert_kernels.py report.py) \
	$(addprefix applications/training/distribution/test_,spread_steps.py elastic_run.py copied_steps.py copied_run.py) \
	test_accelerator_programs.py test_benchmarks.py test_layering.py test_packaging.py test_public_index.py test_readme.py)
TASKS_TESTED_ONCE = $(addprefix --ignore=,$(wildcard $(addprefix tests/applications/,*/test_data.py */test_config.py \
	$(addprefix text_classification/test_,*_files.py *_text.py scores.py) starcraft_units/test_scores.py \
	$(addprefix masked_language/test_,learning.py masking.py rows.py) optical_flow/test_tiles.py)))
DEMO_ARGS ?=
# Fewer clips are other data: a quick demo has a folder of its own.
DEMO_OUT ?= runs/demo$(if $(filter --quick,$(DEMO_ARGS)),-quick)
BENCH_ARGS ?=
export KERAS_BACKEND ?= jax
# Where Python may not keep compiled modules, each process compiles Keras and TensorFlow again: 11 of its 18 seconds of import.
unexport PYTHONDONTWRITEBYTECODE

BIN := $(VENV)/bin
BASE := $(VENV)/.base-installed
DEV := $(VENV)/.dev-installed
TORCH_STAMP := $(VENV)/.torch-installed
CV_STAMP := $(VENV)/.cv-installed

# uv installs in seconds; pip does the same where uv is not to be had.
INSTALL = if $(BIN)/python -m uv --version >/dev/null 2>&1; then $(BIN)/python -m uv pip install --python $(BIN)/python $(1); \
	else $(BIN)/python -m pip install $(1); fi

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo test test-slow lint format bench clean environment $(addprefix test-,jax tensorflow torch)

help:
	@sed -n '3,8s/^# *//p' $(firstword $(MAKEFILE_LIST))

demo: $(BASE) $(if $(filter torch,$(KERAS_BACKEND)),$(TORCH_STAMP))
	$(BIN)/zorro-keras demo $(DEMO_OUT) $(DEMO_ARGS)

test: $(addprefix test-,$(BACKENDS))

# Where torch is tested, every backend is compared with transformers, which need it.
test-jax test-tensorflow: $(DEV) $(if $(filter torch,$(BACKENDS)),$(TORCH_STAMP))
test-torch: $(DEV) $(TORCH_STAMP)
test-jax test-tensorflow test-torch: test-%:
	KERAS_BACKEND=$* $(PYTEST) -m "not slow" $(PYTEST_ARGS) $(if $(filter $*,$(firstword $(BACKENDS))),,$(TESTED_ONCE) $(TASKS_TESTED_ONCE))

test-slow: $(DEV) $(if $(filter torch,$(BACKENDS)),$(TORCH_STAMP))
	$(PYTEST) -m slow $(PYTEST_ARGS)

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(DEV)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The peers of Perceiver IO run on torch, whatever the backend of ours; that of Video Swin is KerasCV.
bench: $(DEV) $(TORCH_STAMP) $(CV_STAMP)
	$(BIN)/python benchmarks/run.py --backends $(BACKENDS) $(BENCH_ARGS)

environment: $(DEV) $(if $(filter torch,$(BACKENDS)),$(TORCH_STAMP))

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "zorro_keras needs Python 3.11, 3.12 or 3.13: none of them was found." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	-$(BIN)/python -m pip install --quiet uv

$(BASE): pyproject.toml | $(BIN)/python
	$(call INSTALL,--editable ".[jax]")
	@touch $@

$(DEV): pyproject.toml | $(BIN)/python
	$(call INSTALL,--editable ".[jax$(,)dev$(,)export]")
	@touch $@ $(BASE)

$(CV_STAMP): pyproject.toml | $(DEV)
	$(call INSTALL,--editable ".[cv]")
	@touch $@

# pip, not uv: pip alone sees wheels that a machine keeps in its own folder of wheels.
$(TORCH_STAMP): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet $(TORCH) "$(TRANSFORMERS)"
	@touch $@

, := ,
