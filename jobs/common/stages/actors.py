"""How Ray Data's actors get what they are made with. Knows no stage."""


def actors_by_value() -> None:
    """Give each actor its arguments themselves, and not references to them in Ray's object store.

    Ray Data puts the stage and its own settings there once and hands references to actors that it restarts for ever;
    Ray then says, as an error, that such an actor can't be restarted once the store has lost them (ray issue 53727).
    Both are a few kilobytes, which Ray keeps in the actor's own description, so that a restart depends on nothing
    else. Without this, or where a version of Ray keeps them elsewhere, jobs run as well and say that line.
    """
    from ray.data._internal.execution.operators.actor_pool_map_operator import ActorPoolMapOperator

    ActorPoolMapOperator._data_context_ref = property(lambda operator: operator.data_context)
    ActorPoolMapOperator._map_transformer_ref = property(lambda operator: operator._map_transformer)
