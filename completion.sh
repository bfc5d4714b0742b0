# Tab completion for the commands of this folder, in bash and zsh. In this folder, type: source completion.sh
# What can stand somewhere is asked of the commands themselves, with the Python of .venv. AWS is never asked.

if [ -n "${ZSH_VERSION-}" ]; then
  _satcomp_folder=$0
else
  _satcomp_folder=$BASH_SOURCE
fi
_satcomp_folder=$(cd -- "$(dirname -- "$_satcomp_folder")" >/dev/null && pwd)

_satcomp_register() {
  local code
  if ! code=$(PATH="$_satcomp_folder/.venv/bin:$PATH" register-python-argcomplete "$@" 2>/dev/null); then
    echo "Completion needs what 'make .venv' installs: type it in $_satcomp_folder, then this again." >&2
    return 1
  fi
  if [ -n "${ZSH_VERSION-}" ]; then
    if ! type compdef >/dev/null 2>&1; then # a zsh without a configuration of its own
      autoload -Uz compinit && compinit -i -D
    fi
    eval "$code"
    compdef _satcomp_complete "$@"
  else
    eval "$code"
    complete -o nospace -o bashdefault -F _satcomp_complete "$@"
  fi
}

# Only commands of this folder are run for their completions: others may have the same names, and do something else.
_satcomp_complete() {
  local typed=$1
  [ -n "${ZSH_VERSION-}" ] && typed=${words[1]}
  if [[ $typed -ef $_satcomp_folder/${typed##*/} ]]; then
    PATH="$_satcomp_folder/.venv/bin:$PATH" _python_argcomplete "$@"
  elif [ -n "${ZSH_VERSION-}" ]; then
    _default
  else
    compopt -o default +o nospace 2>/dev/null
  fi
}

_satcomp_register create-solver-infrastructure update-solver-infrastructure delete-solver-infrastructure push-ecr \
  update_instances send_message show_status run_benchmarks rehearse
