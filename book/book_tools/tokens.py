"""Text with every token marked by its fate: accepted, rejected, thrown away, or written by the target."""

import html
from collections.abc import Callable

from IPython.display import HTML, display

from nimblelm.inference.acceptance_stats import Round

_LEGEND = {
    "accepted": "proposed by the draft and accepted",
    "rejected": "rejected",
    "corrected": "written by the target instead",
    "bonus": "bonus token after a full acceptance",
}


def token_html(text: str, state: str) -> str:
    """One token as a marked span; spaces at its ends and line ends are made visible."""
    shown = html.escape(text).replace("\n", "⏎\n")
    return f'<span class="token token-{state}">{shown}</span>'


def round_html(round_: Round, decode: Callable[[list[int]], str]) -> str:
    """The kept tokens of a round, the rejected one where there is one, and the target's own token."""
    kept = round_.num_accepted
    parts = [token_html(decode([t]), "accepted") for t in round_.draft_tokens[:kept].tolist()]
    rejected = round_.draft_tokens[kept : kept + 1].tolist()
    parts += [token_html(decode([t]), "rejected") for t in rejected]
    parts.append(token_html(decode(round_.tokens[-1:].tolist()), "corrected" if rejected else "bonus"))
    return "".join(parts)


def show_rounds(prompt: str, rounds: list[Round], decode: Callable[[list[int]], str]) -> None:
    """Display the generated text in one piece, marked, with a legend."""
    body = "".join(round_html(round_, decode) for round_ in rounds)
    display(
        HTML(
            '<div class="token-text" tabindex="0" role="region" aria-label="Generated text with each token marked">'
            f'<span class="token-prompt">{html.escape(prompt)}</span>{body}</div>{legend_html()}'
        )
    )


def rounds_table(rounds: list[Round], decode: Callable[[list[int]], str]) -> str:
    """One row a round: what a reader without JavaScript sees in the stepper's place."""
    rows = "".join(
        f'<tr><td>{i}</td><td class="token-cell">{round_html(round_, decode)}</td>'
        f"<td>{round_.num_accepted} of {len(round_.draft_tokens)}</td></tr>"
        for i, round_ in enumerate(rounds, 1)
    )
    header = "<tr><th>Round</th><th>Tokens</th><th>Accepted</th></tr>"
    return f"<table><thead>{header}</thead><tbody>{rows}</tbody></table>{legend_html()}"


def legend_html() -> str:
    items = "".join(
        f'<li><span class="token token-{state}">token</span> {text}</li>' for state, text in _LEGEND.items()
    )
    return f'<ul class="token-legend">{items}</ul>'
