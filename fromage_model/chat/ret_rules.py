"""Where [RET] may stand in a reply, where it must, and what follows it. Knows nothing of logits."""

from collections.abc import Collection, Sequence

from fromage_model.prompts.messages import RetrievalMode, Sampling


class RetRules:
    """The rules of one reply as it grows, by its sampling and its retrieval mode; `begun` is what it has so far."""

    def __init__(
        self,
        sampling: Sampling,
        mode: RetrievalMode,
        *,
        ret_id: int,
        stop_ids: Collection[int],
        begun: Sequence[int] = (),
        after_ret: Sequence[int] = (),
        no_beginning: Sequence[int] = (),
    ):
        """`after_ret`: the ids that a reply goes on with that begins with [RET]. `no_beginning`: those with which one
        does not begin that has no [RET] there.
        """
        self._ret_id = ret_id
        self._stop_ids = stop_ids
        self._earliest = sampling.min_tokens_before_ret
        latest = sampling.max_tokens_before_ret
        self._latest = len(begun) + sampling.max_new_tokens if latest is None else latest
        self._limit = sampling.max_new_tokens
        self._again_at_once = sampling.ret_in_context
        self._rets_left = 0 if mode == "never" else sampling.max_rets
        self._owed = mode == "always" and self._rets_left > 0
        self._words = 0
        self._written = 0
        self._just_asked = False
        self._after_ret = list(after_ret)
        self._no_beginning = tuple(no_beginning)
        self._due: list[int] = []
        for token in begun:
            self._remember(token)

    @property
    def barred(self) -> bool:
        """Whether the next token can't be [RET]."""
        again = self._just_asked and not self._again_at_once
        return bool(self._due) or again or self._rets_left <= 0 or not self._earliest <= self._words <= self._latest

    @property
    def forced(self) -> bool:
        """Whether the next token is [RET], whatever the LM would write."""
        return not self._due and self._owed and (self._words >= self._earliest or self._written == self._limit - 1)

    @property
    def due(self) -> int | None:
        """The token of text that comes next, whatever the LM would write; None where it may choose."""
        return self._due[0] if self._due else None

    @property
    def no_beginning(self) -> tuple[int, ...]:
        """The tokens of text that can't come next, since the reply begins there."""
        return () if self._words or self._due or self._just_asked else self._no_beginning

    def settle(self, token: int) -> int:
        """The token that was chosen -> the one that is written: [RET] where the reply must not go on, or end, without.

        It is remembered.
        """
        if self.forced or (self._owed and token in self._stop_ids and not self._due):
            token = self._ret_id
        self._written += 1
        self._remember(token)
        return token

    def _remember(self, token: int) -> None:
        self._just_asked = token == self._ret_id
        if self._just_asked:
            self._rets_left -= 1
            self._owed = False
            self._due = self._after_ret if self._words == 0 else []
        else:
            self._due = self._due[1:] if token == self.due else []
            self._words += 1
