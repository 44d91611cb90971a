#!/bin/sh
# Makes the environment of Reverb, .venv-reverb at the root of the repository, if it is missing or was made from other
# requirements.
#
#   PYTHON  the interpreter to make it with (python3.11)
set -eu
cd "$(dirname "$0")/.."

environment=.venv-reverb
requirements=benchmarks/reverb_requirements.txt
# A copy of the requirements is put into the environment last of all: a set-up that was cut short is started anew.
installed="$environment/installed_requirements.txt"

if cmp -s "$requirements" "$installed"; then
    echo "$environment is up to date"
    exit 0
fi

"${PYTHON:-python3.11}" -m venv --clear "$environment"
"$environment/bin/pip" install --requirement "$requirements"
"$environment/bin/python" -c "import importlib.metadata as m, reverb; print('Reverb', m.version('dm-reverb'))"
cp "$requirements" "$installed"
