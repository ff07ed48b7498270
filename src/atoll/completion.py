"""`atoll completion`: complete command lines in shells.

At each Tab, the shell's script runs `atoll completion words`, with the words of the line on standard input. The output
has one candidate per line, with its description after a tab. The line `:files` stands for file names.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise

from atoll.cli import parser_of
from atoll.client import Client, resolve
from atoll.client.failures import CallError, Misconfigured
from atoll.commands import COMMANDS
from atoll.shell.tables import names_of

FILES = ":files"
WORDS = "words"
ANSWER_S = 1.0

_BASH = r"""_atoll() {
    local line=${COMP_LINE:0:COMP_POINT} words word
    read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    COMPREPLY=()
    while IFS=$'\t' read -r word _; do
        if [[ $word == :files ]]; then compopt -o default; else COMPREPLY+=("$word"); fi
    done < <(printf '%s\n' "${words[@]:1}" | "${words[0]}" completion words 2>/dev/null)
}
complete -F _atoll atoll
"""

_ZSH = r"""#compdef atoll
_atoll() {
    local -a found
    local line
    for line in "${(@f)$(print -rl -- "${(@)words[2,CURRENT]}" | $words[1] completion words 2>/dev/null)}"; do
        if [[ $line == :files ]]; then
            _files
        elif [[ -n $line ]]; then
            found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
        fi
    done
    (( $#found )) && _describe atoll found
}
if [[ $funcstack[1] == _atoll ]]; then _atoll "$@"; else compdef _atoll atoll; fi
"""

_FISH = r"""function __atoll_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in (printf '%s\n' $words[2..] | atoll completion words 2>/dev/null)
        if test "$line" = :files
            __fish_complete_path (commandline -ct)
        else
            printf '%s\n' $line
        end
    end
end
complete -c atoll -f -a '(__atoll_complete)'
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def add(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = (
        "Print the script that completes commands, options and tables in a shell. Put into the shell's start file:\n\n"
        "  bash    source <(atoll completion bash)        in ~/.bashrc\n"
        "  zsh     source <(atoll completion zsh)         in ~/.zshrc, after compinit\n"
        "  fish    atoll completion fish | source         in ~/.config/fish/config.fish"
    )
    parser.add_argument("shell", choices=[*SCRIPTS, WORDS], metavar="SHELL", help="bash, zsh or fish")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.shell != WORDS:
        print(SCRIPTS[options.shell], end="")
        return 0
    words = sys.stdin.read().split("\n")[:-1] or [""]
    for word, description in candidates(words):
        print(f"{word}\t{description}" if description else word)
    return 0


def candidates(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The completions of the last word, with descriptions. The first word is the command."""
    *before, current = words
    if not before:
        found = [(name, command.summary) for name, command in COMMANDS.items()]
    elif before[0] in COMMANDS:
        found = list(_of_command(before, current))
    else:
        found = []
    return ((word, text) for word, text in found if word == FILES or word.startswith(current))


def _of_command(before: Sequence[str], current: str) -> Iterator[tuple[str, str]]:
    parser, given = parser_of(before[0]), 0
    option: argparse.Action | None = None
    """That whose value comes next."""
    for word in before:
        actions = _options(parser)
        if option is not None:
            option = None
        elif word in actions:
            option = actions[word] if actions[word].nargs is None else None
        elif below := _below(parser).get(word):
            parser, given = below, 0
        elif not word.startswith("-"):
            given += 1
    if option is not None:
        yield from _values(parser, option, before)
    elif current.startswith("-"):
        yield from ((name, _help(action)) for name, action in _options(parser).items() if name.startswith("--"))
    elif commands := _below(parser):
        yield from ((name, (one.description or "").partition(". ")[0]) for name, one in commands.items())
    else:
        positional = [action for action in parser._actions if not action.option_strings]
        if positional:
            yield from _values(parser, positional[min(given, len(positional) - 1)], before)


def _options(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    return parser._option_string_actions


def _help(action: argparse.Action) -> str:
    return (action.help or "").partition(" (default")[0]


def _below(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parser's subcommands."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _values(
    parser: argparse.ArgumentParser, action: argparse.Action, words: Sequence[str]
) -> Iterator[tuple[str, str]]:
    allowed = (parser.get_default("allowed") or {}).get(action.option_strings[0] if action.option_strings else "")
    if choices := action.choices or allowed:
        yield from ((str(choice), "") for choice in choices if choice != WORDS)
    elif action.dest in ("table", "tables"):
        yield from ((name, "") for name in _tables(words))
    elif action.dest != "condition":
        yield FILES, ""


def _tables(words: Sequence[str]) -> list[str]:
    """The tables at the endpoint that the line names; empty if it does not answer at once."""
    given = dict(pairwise(words))
    place = given.get("--endpoint-url") or given.get("--endpoint") or ""
    try:
        endpoint = resolve(place, given.get("--region", ""), given.get("--profile", ""))
        return list(names_of(Client(endpoint, attempts=1, answer_s=ANSWER_S)))
    except (CallError, Misconfigured):
        return []
