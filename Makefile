# Everything is a target here; `make help` lists them. STUDY and SET change what the stage targets run:
#   make train STUDY=pipelines/own-data.yaml SET="train.epochs=5 train.lr=0.02"
STUDY ?= pipelines/phantom.yaml
SET ?=
CARGO ?= cargo
BIN := target/release
OVERRIDES := $(foreach pair,$(SET),--set $(pair))
# CI clones into one folder after another; an incremental or locked-out build would only cost time there.
LOCKED := --locked

.DEFAULT_GOAL := help
.PHONY: all setup build phantom preprocess dataset train report smoke test browser interop bench bench-report compare reproduce reproduce-smoke reproduce-reference reproduce-elsewhere crash deny sbom release image clean help

all: build ## from CT files to reports/phantom, then both tables
	@$(BIN)/chumoku run pipelines/phantom.yaml $(OVERRIDES)

setup: ## fetch libtorch 2.11.0 (CPU) into .libtorch, unless LIBTORCH names one
ifndef LIBTORCH
	@python3 tools/fetch_libtorch.py .libtorch
else
	@test -e "$(LIBTORCH)/lib/libtorch_cpu.so" || { echo "LIBTORCH=$(LIBTORCH) has no lib/libtorch_cpu.so: unset it, or name a libtorch 2.11.0" >&2; exit 6; }
endif

build: setup
	@$(CARGO) build $(LOCKED) --release --quiet --workspace --bins

preprocess dataset train report: build ## one stage of STUDY alone
	@$(BIN)/chumoku-$@ --config $(STUDY) $(OVERRIDES)

phantom: build ## the synthetic CT of STUDY alone
	@$(BIN)/chumoku-phantom --config $(STUDY) $(OVERRIDES)

smoke: build ## the whole line on a tiny study, about a minute
	@$(BIN)/chumoku run pipelines/smoke.yaml $(OVERRIDES)

test: setup .venv/tensorboard .venv/schema .venv/crate browser ## fmt, clippy, docs, tests, and the smoke study twice through the real binaries
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(LOCKED) --release --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(LOCKED) --release --workspace --no-deps --quiet
	$(CARGO) build $(LOCKED) --release --workspace --bins
	OMP_NUM_THREADS=2 CHUMOKU_TENSORBOARD_PYTHON=$(CURDIR)/.venv/tensorboard/bin/python \
		CHUMOKU_SCHEMA_PYTHON=$(CURDIR)/.venv/schema/bin/python CHUMOKU_CRATE_PYTHON=$(CURDIR)/.venv/crate/bin/python \
		$(CARGO) test $(LOCKED) --release --workspace
	@$(MAKE) --no-print-directory reproduce-smoke

# A study's run as TorchScript, run by PyTorch: fold 0 of the smoke study, the ABN with the proposed loss.
interop: smoke .venv/lungmask ## exported networks in PyTorch (Python), and its CUDA library in our programs
	@$(BIN)/chumoku-train export --weights data/smoke/3_runs/proposed/fold-0/seed-0/weights.safetensors --out data/smoke/model.pt
	@.venv/lungmask/bin/python tools/check_torchscript.py data/smoke/model.pt data/smoke/1_masks/slices.parquet \
		data/smoke/3_runs/proposed/fold-0/seed-0/predictions.parquet
	@LIBTORCH=$$(echo .venv/lungmask/lib/python3*/site-packages/torch) $(BIN)/chumoku-train doctor | grep -q site-packages/torch/lib && \
		echo "libtorch_cuda.so of the PyPI wheel: loaded by a program that was built without it"

bench: build .venv/lungmask bench-report ## times and memory: training and prediction beside PyTorch, lung masks beside lungmask, metrics beside scikit-learn (Python)
	@.venv/lungmask/bin/python tools/bench_pytorch.py data/bench-pytorch
	@.venv/lungmask/bin/python tools/bench_lungmask.py data/bench-lungmask

bench-report: build .venv/report ## of these, metrics beside scikit-learn alone
	@.venv/report/bin/python tools/bench_report.py data/bench-report --out reports/bench/report.md

# make compare A=reports/reference/phantom B=reports/phantom TOLERANCE=0.05
A ?= reports/reference/phantom
B ?= reports/phantom
compare: build ## what changed from report A to report B, held to TOLERANCE if given
	@$(BIN)/chumoku-report compare $(A) $(B) $(if $(TOLERANCE),--tolerance $(TOLERANCE))

# The Python that results are held against. lungmask: 3.2 GB, since torch from PyPI brings CUDA; tensorboard: 180 MB; report: 430 MB; schema: 30 MB;
# crate: RO-Crate's validator, 90 MB.
.venv/%: tools/%_requirements.txt
	@python3 -m venv $@ && $@/bin/pip install --quiet -r $< && touch $@ || { rm -rf $@; exit 1; }

# The packages with which a test uses the report in Chromium; without node or Chromium that test says that it is skipped.
BROWSER := tools/browser/node_modules/.package-lock.json
browser: $(BROWSER)
$(BROWSER): tools/browser/package-lock.json
	@command -v npm >/dev/null && npm ci --prefix tools/browser --ignore-scripts --no-audit --no-fund --silent && touch $@ || \
		echo "no npm, or it failed: the report is not tested in a browser"

reproduce: reproduce-smoke reproduce-reference ## the smoke study twice and the reference study once, in fresh folders: the same bytes, and the numbers of reports/

reproduce-smoke: build ## of these, the smoke study alone, a minute and a half
	@tools/reproduce.sh $(BIN)/chumoku pipelines/smoke.yaml

reproduce-reference: build ## of these, the reference study alone
	@tools/reference.sh $(BIN) pipelines/phantom.yaml reports/reference/phantom

reproduce-elsewhere: build ## a tiny study here and on emulated processors of two makers, the same bytes (needs qemu-x86_64; some minutes)
	@tools/other_processor.sh $(BIN) pipelines/smoke.yaml

crash: build ## a tiny study killed 200 times at random moments: the same bytes in the end
	@CHUMOKU_CRASHES=200 $(CARGO) test $(LOCKED) --release --workspace --test crash -- --nocapture

# Tools of Cargo's own, in versions that are pinned; each takes some minutes to build, without optimisation half of them.
.cargo-tools/bin/cargo-deny:
	@$(CARGO) install cargo-deny@0.20.2 --debug --locked --quiet --root .cargo-tools
.cargo-tools/bin/cargo-cyclonedx:
	@$(CARGO) install cargo-cyclonedx@0.5.9 --locked --quiet --root .cargo-tools

deny: .cargo-tools/bin/cargo-deny ## licences and sources of all dependencies (advisories need GitHub: DENY="advisories bans licenses sources")
	@.cargo-tools/bin/cargo-deny --locked check $(or $(DENY),bans licenses sources)

sbom: .cargo-tools/bin/cargo-cyclonedx ## what each crate is made of, as CycloneDX JSON: dist/sbom-CRATE.json
	@mkdir -p dist && SOURCE_DATE_EPOCH=0 .cargo-tools/bin/cargo-cyclonedx cyclonedx --format json --spec-version 1.5 --override-filename sbom --quiet
	@for file in crates/*/sbom.json; do sed -i "s|$(CURDIR)|.|g" $$file; mv $$file dist/sbom-$$(basename $$(dirname $$file)).json; done; ls dist/sbom-*.json

release: build sbom ## dist/chumoku-VERSION-x86_64-linux.tar.gz: programs, libtorch, model and studies, tried in an empty folder
	@tools/release.sh $(BIN) $(or $(LIBTORCH),.libtorch) dist

image: ## a container image, with podman or docker: built, and tried with the smoke study (26 minutes of one core)
	@tools/image.sh

clean: ## remove what was built and made, not libtorch
	$(CARGO) clean
	rm -rf data/smoke data/phantom reports/smoke reports/phantom

help: ## this list
	@grep -hE '^[a-z][a-z -]*:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | awk -F'\t' '{printf "  %-36s %s\n", "make " $$1, $$2}'
