"""Pure: a call's arguments -> an event with its id, time and shard."""
