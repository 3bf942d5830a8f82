%% A ring of 2,000 processes, TCP, monitors.
-module(ring).
-export([main/0]).

main() ->
    Last = lists:foldl(fun(_, Next) -> spawn(fun() -> pass(Next) end) end, self(), lists:seq(1, 2000)),
    [begin Last ! N, receive N -> ok end end || N <- lists:seq(1, 100)],
    {ok, Listener} = gen_tcp:listen(0, [binary, {active, false}]),
    {ok, Port} = inet:port(Listener),
    spawn(fun() -> serve(Listener) end),
    Good = [ok || I <- lists:seq(1, 100), echo(Port, integer_to_binary(I))],
    Monitored = [spawn_monitor(fun() -> exit(fib(20)) end) || _ <- lists:seq(1, 20)],
    [receive {'DOWN', Ref, _, _, 6765} -> ok end || {_, Ref} <- Monitored],
    io:format("ok ~p~n", [length(Good)]),
    halt(0).

pass(Next) ->
    receive Message -> Next ! Message, pass(Next) end.

serve(Listener) ->
    {ok, Socket} = gen_tcp:accept(Listener),
    {ok, Bytes} = gen_tcp:recv(Socket, 0),
    gen_tcp:send(Socket, Bytes),
    gen_tcp:close(Socket),
    serve(Listener).

echo(Port, Bytes) ->
    {ok, Socket} = gen_tcp:connect({127, 0, 0, 1}, Port, [binary, {active, false}]),
    ok = gen_tcp:send(Socket, Bytes),
    {ok, Answer} = gen_tcp:recv(Socket, 0),
    gen_tcp:close(Socket),
    Answer == Bytes.

fib(N) when N < 2 -> N;
fib(N) -> fib(N - 1) + fib(N - 2).
