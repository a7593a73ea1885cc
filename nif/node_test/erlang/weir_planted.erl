%% The NIF with mistakes; see planted/planted_nif.c. The environment variable WEIR_NIF_PLANTED names the library.
-module(weir_planted).
-export([load/0, overflow/1, add/1]).

load() -> erlang:load_nif(filename:rootname(os:getenv("WEIR_NIF_PLANTED")), 0).

overflow(_Bytes) -> erlang:nif_error(not_loaded).

add(_Number) -> erlang:nif_error(not_loaded).
