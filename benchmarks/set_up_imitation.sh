#!/bin/sh
# Makes the environment of the package imitation, .venv-imitation at the root of the repository, if it is missing or was
# made from other requirements.
#
#   PYTHON         the interpreter to make it with (python3.11)
#   TORCH_OPTIONS  options of pip for PyTorch alone, for instance an index with CPU builds (none)
set -eu
cd "$(dirname "$0")/.."

environment=.venv-imitation
requirements=benchmarks/imitation_requirements.txt
# A copy of the requirements is put into the environment last of all: a set-up that was cut short is started anew.
installed="$environment/installed_requirements.txt"

if cmp -s "$requirements" "$installed"; then
    echo "$environment is up to date"
    exit 0
fi

"${PYTHON:-python3.11}" -m venv --clear "$environment"
# shellcheck disable=SC2046,SC2086 # both are lists of words
"$environment/bin/pip" install ${TORCH_OPTIONS:-} $(grep '^torch==' "$requirements")
"$environment/bin/pip" install --requirement "$requirements"
"$environment/bin/python" -c "import imitation; print('imitation', imitation.__version__)"
cp "$requirements" "$installed"
