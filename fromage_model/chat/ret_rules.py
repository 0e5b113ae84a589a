"""Where [RET] may stand in a reply, and where it must. Knows nothing of logits."""

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
    ):
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
        for token in begun:
            self._remember(token)

    @property
    def barred(self) -> bool:
        """Whether the next token can't be [RET]."""
        again = self._just_asked and not self._again_at_once
        return again or self._rets_left <= 0 or not self._earliest <= self._words <= self._latest

    @property
    def forced(self) -> bool:
        """Whether the next token is [RET], whatever the LM would write."""
        return self._owed and (self._words >= self._earliest or self._written == self._limit - 1)

    def settle(self, token: int) -> int:
        """The token that was chosen -> the one that is written: [RET] where the reply must not go on, or end, without.

        It is remembered.
        """
        if self.forced or (self._owed and token in self._stop_ids):
            token = self._ret_id
        self._written += 1
        self._remember(token)
        return token

    def _remember(self, token: int) -> None:
        self._just_asked = token == self._ret_id
        if self._just_asked:
            self._rets_left -= 1
            self._owed = False
        else:
            self._words += 1
