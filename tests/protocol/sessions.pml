/*
 * The protocol between requests and a store, for three requests on one session.
 *
 * Every store call is one atomic step, with what the request works out from its answer. Between two steps
 * anything else may happen. docs/guarantees.md says what is covered and what is left out; run.ts runs it.
 *
 * A promise is an assertion that ends in "|| NAME". NAME is always 0: it shows in spin's message which promise broke.
 */

#ifndef REQUESTS
#define REQUESTS 3
#endif
#ifndef FAULTS
#define FAULTS 2      /* store calls that may go wrong, in all requests together */
#endif
#ifndef STALE
#define STALE 1       /* reads that a lagging replica may answer */
#endif
#ifndef EVENTS
#define EVENTS 1      /* expiries and destroyAll() calls */
#endif
#ifndef LONG
#define LONG 1        /* requests that continue after their first commit */
#endif

/* ---- What a row holds --------------------------------------------------------------------------------- */

#define ABSENT 0
#define LIVE   1
#define MARK   2      /* left under an old token by a renewal */
#define DUE    3      /* past its expiry, not yet purged */

/* Tokens. Each request has one to renew to, and two to create under. */
#define NONE      0
#define FIRST     1   /* the token in the browser's cookie at the start */
#define RENEWED(p)    (2 + (p))
#define CREATED(p, n) (5 + (p) + 3 * (n))
#define TOKENS    11
#define DELETION  15  /* in place of a token: a cookie that deletes */
#define BIT(t)    (1 << (t))

/*
 * Data, as bits: what the session held from the start; two changes of each request, think of counts that go up
 * by one; the nonces of three writes of each request. Nonces are never removed, so equal bits are equal bytes.
 */
#define ORIGIN       1
#define CHANGE(p, k) (1 << (1 + 2 * (p) + (k)))
#define NONCE(p, n)  (1 << (7 + 3 * (p) + (n)))
#define CHANGES      126
#define NONCES       65408
#define WRITES       3
#ifdef SHORT_NONCES
#define KEPT 127      /* a write keeps no nonce but its own */
#else
#define KEPT 65535
#endif

#ifdef WITHOUT_MARK
#define EXCUSED 1     /* promises that need a mark are not checked */
#else
#define EXCUSED 0
#endif

#define CREATES 2

byte state[TOKENS];
int data[TOKENS];

/* ---- The browser -------------------------------------------------------------------------------------- */

byte jar = FIRST;     /* the token in its cookie */
bit jarLogin;         /* whether it came with a login */
short jarHad = BIT(FIRST);   /* every token that it ever had */
byte loaded;          /* how many requests have loaded their session */

/* ---- The network: at most one call of each request is under way after its caller gave it up ----------- */

#define UPDATE 1
#define CREATE 2
byte lateKind[3], lateToken[3], lateNew[3];
int lateExpected[3];
int lateNext[3];

byte faults = FAULTS;
byte stale = STALE;

/* ---- What the assertions remember --------------------------------------------------------------------- */

short dead;           /* tokens that were live and must never be again */
short moved;          /* tokens that a renewal has left, while their mark stands */
bit extended;         /* whether a late touch has brought an expired row back */
bit unmarked = EXCUSED;       /* whether a mark has expired: the promises that need it no longer hold */
unsigned ended : 16;  /* what was in rows when they were ended */
byte events = EVENTS;
byte longer = LONG;

#ifdef MARK_LATER
short marksUnderWay;
#endif

/* Names of the promises. */
bit LOST, DOUBLED, REVIVED, TWO_TOKENS, DISPLACED, SIGNED_OUT, UNTRUE_GONE, LOGOUT_UNDONE, ENDLESS_MARK;

/* ---- The store ---------------------------------------------------------------------------------------- */

/* Answers of a store call. ERROR leaves its caller in doubt. */
#define NO    0
#define YES   1
#define ERROR 2

#define isRow(t) (state[t] == LIVE || state[t] == DUE)

/* Must hold whenever a row becomes live. A copy of an ended session's data counts as that session revived. */
#define mayLive(t, bytes) \
  assert(!(dead & BIT(t)) || REVIVED); \
  assert(!((bytes) & ORIGIN && ended & ORIGIN) || REVIVED)

#ifdef NO_COMPARE
#define matches(t, bytes) (state[t] == LIVE)
#else
#define matches(t, bytes) (state[t] == LIVE && data[t] == (bytes))
#endif

/* update(): compare-and-set. A new token moves the row and leaves a mark, in the same step. */
inline applyUpdate(t, expected, next, new, answer) {
  if
  :: matches(t, expected) ->
    assert((data[t] & CHANGES & ~(next)) == 0 || LOST);
    if
    :: new != NONE ->
      mayLive(new, next);
      state[new] = LIVE;
      data[new] = next;
      moved = moved | BIT(t);
#ifndef RENEW_BY_COPY
      dead = dead | BIT(t);
#ifdef MARK_WITH_ONE_NONCE
      data[t] = (next) & ~(expected) & NONCES;
#else
      data[t] = (next) & NONCES;
#endif
#if defined(NO_MARK) || defined(MARK_LATER)
      state[t] = ABSENT;
#else
      state[t] = MARK;
#endif
#endif
#ifdef MARK_LATER
      marksUnderWay = marksUnderWay | BIT(t);
#endif
    :: else -> data[t] = next
    fi;
    answer = YES
  :: else -> answer = NO
  fi
}

inline applyCreate(t, next, answer) {
  if
  :: state[t] == ABSENT ->
    mayLive(t, next);
    state[t] = LIVE;
    data[t] = next;
    answer = YES
  :: else -> answer = NO
  fi
}

/* Ends a live or due row. */
inline endRow(t) {
  dead = dead | BIT(t);
  ended = ended | data[t];
  state[t] = ABSENT;
  data[t] = 0
}

inline applyDelete(t, answer) {
  if
  :: state[t] == LIVE || state[t] == DUE -> endRow(t); answer = YES
#ifdef DELETE_TAKES_MARK
  :: state[t] == MARK -> state[t] = ABSENT; data[t] = 0; answer = YES
  :: state[t] == ABSENT -> answer = NO
#else
  :: else -> answer = NO      /* a mark stays */
#endif
  fi
}

/* Sends the pending write, with every fault of a network. */
inline sendUpdate() {
  if
  :: applyUpdate(token, expected, next, new, answer)
  :: faults > 0 -> faults--; applyUpdate(token, expected, next, new, answer); answer = ERROR  /* reply lost */
  :: faults > 0 -> faults--; answer = ERROR                                                 /* call lost */
#ifndef NO_REPEATS
  :: faults > 0 -> faults--;                                                   /* twice, the second answers */
    applyUpdate(token, expected, next, new, answer); applyUpdate(token, expected, next, new, answer)
#endif
  :: faults > 0 && lateKind[p] == 0 -> faults--; keepLate(UPDATE); answer = ERROR              /* arrives later */
  :: faults > 0 && lateKind[p] == 0 -> faults--;                               /* now, and once more later */
    applyUpdate(token, expected, next, new, answer); keepLate(UPDATE)
  fi
}

inline sendCreate() {
  if
  :: applyCreate(token, next, answer)
  :: faults > 0 -> faults--; applyCreate(token, next, answer); answer = ERROR
  :: faults > 0 -> faults--; answer = ERROR
  :: faults > 0 -> faults--; applyCreate(token, next, answer); applyCreate(token, next, answer)
  :: faults > 0 && lateKind[p] == 0 -> faults--; keepLate(CREATE); answer = ERROR
#ifdef LATE_DUPLICATE_OF_CREATE
  :: faults > 0 && lateKind[p] == 0 -> faults--; applyCreate(token, next, answer); keepLate(CREATE)
#endif
  fi
}

inline keepLate(kind) {
  lateKind[p] = kind;
  lateToken[p] = token;
  lateExpected[p] = expected;
  lateNext[p] = next;
  lateNew[p] = new
}

inline sendDelete(t) {
  if
  :: applyDelete(t, answer)
  :: faults > 0 -> faults--; applyDelete(t, answer); answer = ERROR
  :: faults > 0 -> faults--; answer = ERROR
  fi
}

/* ---- A request ---------------------------------------------------------------------------------------- */

#define heldBy(t) (state[t] == LIVE && (data[t] & todo))
#define mine (next & ~expected & NONCES)

#ifdef MARK_LETS_IN
#define letsIn(t) (state[t] == LIVE || state[t] == MARK)
#else
#define letsIn(t) (state[t] == LIVE)
#endif

#define hadInJar(t) (jarHad & BIT(t)) -> offered = t

proctype Request(byte p) {
  byte offered, current;          /* the cookie's token; that of the session this request has */
  unsigned base : 16;             /* the data as last seen */
  unsigned todo : 16;             /* changes not yet in a write */
  bit renew;                      /* a renewal not yet in a write */

  /* The pending write: kept until it is known whether it happened, also across commits. */
  byte kind, token, new;
  unsigned expected : 16;
  unsigned next : 16;
  unsigned changes : 16;
  bit doubt;

  bit asked, login, hasEnded, hasRenewed, gone;
  byte writes, creates, round, cookie, answer;

  /*
   * load(): the one read that a replica may answer. The request was sent earlier, with any cookie the browser had.
   * Requests are alike, so their numbers may follow the order in which they load.
   */
  atomic {
    loaded == p -> loaded++;
    if
    :: hadInJar(0)
    :: hadInJar(1)
    :: hadInJar(2)
    :: hadInJar(3)
    :: hadInJar(4)
    :: hadInJar(5)
    :: hadInJar(6)
    :: hadInJar(7)
    :: hadInJar(8)
    :: hadInJar(9)
    :: hadInJar(10)
    fi;
    if
    :: offered == NONE
    :: offered != NONE ->
      if
      :: letsIn(offered) ->
        assert(!(moved & BIT(offered)) || TWO_TOKENS);
        current = offered;
        base = data[offered]
      :: !letsIn(offered)
      :: stale > 0 -> stale--                                      /* it does not know the row yet */
      :: stale > 0 && offered == FIRST -> stale--; current = FIRST; base = ORIGIN    /* it knows an old one */
      fi
    fi;
    printf("%d loads with token %d: has %d\n", p, offered, current);
    goto act
  }

  /* What the handler does before its next commit. */
  atomic { skip;
act:
    if
    :: todo = todo | CHANGE(p, round); printf("%d changes\n", p)
    :: !hasRenewed -> todo = todo | CHANGE(p, round); renew = 1; hasRenewed = 1; printf("%d logs in\n", p)
    :: round > 0 && (kind != 0 || todo != 0) -> printf("%d commits again\n", p)
    :: round > 0 -> goto respond
    :: printf("%d logs out\n", p); goto destroy
    fi;
    if
    :: kind == 0 -> goto write
#ifdef FORGET_DOUBT
    :: kind != 0 -> todo = todo | changes; renew = renew || new != NONE; kind = 0; doubt = 0; goto write
#else
    :: kind == UPDATE -> goto look              /* first find out */
    :: kind == CREATE -> goto lookForCreated
#endif
    fi
  }

  atomic { skip;
write:
#ifndef FORGET_GONE
    if
    :: gone && !renew -> goto isGone          /* a session that was found gone stays so */
    :: else
    fi;
#endif
    if
    :: current == NONE && offered != NONE && !asked -> goto ask
    :: current == NONE && (offered == NONE || asked) -> goto create
    :: current != NONE && writes == WRITES -> goto failed      /* SessionConflictError */
    :: current != NONE && writes < WRITES
    fi;
    assert((base & todo) == 0 || DOUBLED);
    kind = UPDATE;
    token = current;
    expected = base;
#ifdef NO_NONCE
    next = (base & KEPT) | todo;
#else
    next = (base & KEPT) | todo | NONCE(p, writes);
#endif
    writes++;
    new = (renew -> RENEWED(p) : NONE);
    changes = todo;
    todo = 0;
    renew = 0;
    doubt = 0;
    goto send
  }

send:
  atomic {
    sendUpdate();
    printf("%d update %d -> %d: %d (0 no, 1 yes, 2 error), late call: %d\n", p, token, new, answer, lateKind[p]);
    if
    :: answer == YES -> base = next; goto done
    :: answer == NO -> goto look
    :: answer == ERROR -> doubt = 1; goto look
    :: answer == ERROR -> doubt = 1; goto failed               /* no time left */
    fi
  }

look:  /* On the primary: the old token first, then the new one. */
  atomic {
    if
    :: faults > 0 -> faults--; printf("%d cannot look\n", p); goto failed
    :: printf("%d looks at %d: state %d (0 absent, 1 live, 2 mark)\n", p, token, state[token])
    fi;
    if
    :: state[token] == LIVE && (data[token] & mine) -> base = data[token]; goto done
    :: state[token] == LIVE && !(data[token] & mine) && data[token] == expected -> goto send
    :: state[token] == LIVE && !(data[token] & mine) && data[token] != expected ->
#ifndef REPLAY_IN_DOUBT
      if
      :: doubt && new == NONE -> goto failed                   /* ambiguous */
      :: else
      fi;
#endif
      base = data[token];
      goto again
    /* The mark names the writes that moved with the row. */
    :: state[token] == MARK && (data[token] & mine) -> base = next; goto done
    :: state[token] == MARK && !(data[token] & mine) -> goto lostRow
    :: (state[token] == ABSENT || state[token] == DUE) && new != NONE -> goto lookForRenewed
    :: (state[token] == ABSENT || state[token] == DUE) && new == NONE ->
#ifdef MARK_LATER
      if
      :: doubt -> goto failed
      :: else
      fi;
#endif
      goto lostRow
    fi
  }

lookForRenewed:
  atomic {
    if
    :: faults > 0 -> faults--; goto failed
    :: state[new] == LIVE && (data[new] & mine) -> base = data[new]; goto done
    :: !(state[new] == LIVE && (data[new] & mine)) -> goto lostRow
    fi
  }

  /* Replays the changes on fresh data. */
  atomic { skip;
again:
    todo = todo | changes;
    renew = renew || new != NONE;
    kind = 0;
    goto write
  }

  /* The row is gone or was renewed by another request. */
  atomic { skip;
lostRow:
#ifdef CREATE_WHEN_GONE
    todo = todo | changes;
    mayLive(token, base);
#endif
    if
    :: new != NONE || renew ->                 /* a login: a session of its own */
      todo = todo | changes;
      current = NONE;
      asked = 1;
      renew = 1;
#ifndef COPY_WHAT_WAS_READ
      base = 0;
#endif
      goto create
    :: else -> todo = todo | changes; kind = 0; goto isGone
    fi
  }

ask:  /* The primary, before a session is created in place of the offered one. */
  atomic {
    asked = 1;
    printf("%d asks the primary for %d: state %d\n", p, offered, state[offered]);
#ifdef ASK_NO_PRIMARY
    goto create;
#endif
    if
    :: faults > 0 -> faults--; asked = 0; goto failed
    :: state[offered] == LIVE -> current = offered; base = data[offered]; goto write
    :: state[offered] == MARK && !renew -> goto isGone
    :: state[offered] == MARK && renew -> goto create
    :: state[offered] == ABSENT || state[offered] == DUE -> goto create
    fi
  }

create:  /* Under a fresh token at each attempt. */
  atomic {
    if
    :: creates == CREATES || writes == WRITES -> kind = 0; goto failed
    :: else
    fi;
    kind = CREATE;
#ifdef ONE_TOKEN_TO_CREATE
    token = CREATED(p, 0);
#else
    token = CREATED(p, creates);
#endif
    creates++;
    expected = base;
    next = base | todo | NONCE(p, writes);
    writes++;
    changes = todo;
    todo = 0;
    new = NONE;
    assert(!(next & ORIGIN && ended & ORIGIN) || REVIVED);
    sendCreate();
    printf("%d create %d: %d, late call: %d\n", p, token, answer, lateKind[p]);
    if
    :: answer == YES -> goto done
    :: answer != YES -> goto lookForCreated
    :: answer == ERROR -> goto failed
    fi
  }

lookForCreated:
  atomic {
    if
    :: faults > 0 -> faults--; goto failed
    :: state[token] == LIVE && (data[token] & mine) -> goto done
    :: !(state[token] == LIVE && (data[token] & mine)) -> todo = todo | changes; goto create
    fi
  }

  /* The pending write happened: acknowledged, unless there is more to write. */
  atomic { skip;
done:
    current = (new != NONE -> new : token);
    if
    :: kind == CREATE -> base = data[current]
    :: else
    fi;
    /* It is in the row that the session has now, or was in it when that ended or moved on. */
    assert(isRow(current) && (data[current] & changes) == changes || (dead & BIT(current)) || LOST);
    if
    :: kind == CREATE || new != NONE ->
      cookie = current;
      login = login || renew || new != NONE;
      renew = (kind == CREATE -> 0 : renew)
    :: else
    fi;
#ifdef COOKIE_ON_EVERY_WRITE
    cookie = current;
#endif
    kind = 0;
    doubt = 0;
    if
    :: todo != 0 -> goto write
    :: else -> goto committed
    fi
  }

  /* SessionGoneError says that nothing was written. */
  atomic { skip;
isGone:
    gone = 1;
    assert(!(heldBy(FIRST) || heldBy(RENEWED(0)) || heldBy(RENEWED(1)) || heldBy(RENEWED(2))) || unmarked || UNTRUE_GONE);
#ifdef GONE_DELETES_COOKIE
    cookie = DELETION;
#endif
    goto committed
  }

  atomic { skip;
failed:    /* SessionStoreError or SessionConflictError. The pending write stays. */
committed:
    printf("%d has committed or failed: doubt %d, gone %d, cookie %d\n", p, doubt, gone, cookie);
    if
    :: round == 0 && longer > 0 -> longer--; round = 1; goto act
    :: goto respond
    fi
  }

  atomic { skip;
destroy:
    /* The session's token, or what was offered and not found: a replica may not know it yet. */
    if
    :: kind == UPDATE -> current = token
    :: kind == CREATE -> current = offered; new = token
    :: kind == 0 -> new = NONE
    fi;
    if
#ifndef DESTROY_NOTHING_WHEN_ANONYMOUS
    :: current == NONE -> current = offered
#endif
    :: else
    fi;
#ifdef DELETE_NEW_TOKEN_FIRST
    if
    :: new != NONE -> token = current; current = new; new = token
    :: else
    fi;
#endif
    if
    :: current != NONE -> goto deleteOld
    :: current == NONE && new != NONE -> goto deleteNew
    :: current == NONE && new == NONE -> goto destroyed
    fi
  }

deleteOld:
  atomic {
    sendDelete(current);
    printf("%d delete %d: %d\n", p, current, answer);
    if
    :: answer == YES -> hasEnded = current == offered
    :: answer == NO
    :: answer == ERROR -> goto deleteOld
    :: answer == ERROR -> goto respond
    fi;
    if
    :: new != NONE -> goto deleteNew
    :: else -> goto destroyed
    fi
  }

deleteNew:
  atomic {
    sendDelete(new);
    printf("%d delete %d: %d\n", p, new, answer);
    if
    :: answer != ERROR                                     /* no browser knows this token */
    :: answer == ERROR -> goto deleteNew
    :: answer == ERROR -> goto respond
    fi;
    goto destroyed
  }

  atomic { skip;
destroyed:
    /* From here on neither token may let anyone in. */
    assert((state[current] != LIVE && state[new] != LIVE && (current != NONE || state[offered] != LIVE)) || LOGOUT_UNDONE);
    dead = (dead | BIT(current) | (kind == UPDATE -> BIT(new) : 0)) & ~BIT(NONE);
    login = 0;
#ifdef LOGOUT_ALWAYS_DELETES_COOKIE
    cookie = DELETION;
#else
    cookie = (hasEnded -> DELETION : NONE);
#endif
    goto respond
  }

respond:  /* The response arrives at the browser. */
  atomic {
    printf("%d responds: cookie %d, jar %d (15 deletes)\n", p, cookie, jar);
    if
    :: cookie == NONE
    :: cookie != NONE ->
      if
      :: state[jar] != LIVE || login
      :: else ->
#ifdef EVERY_LOGIN
        assert(!(jarLogin && offered != jar) || DISPLACED);
#else
        assert(!(jarLogin && (moved & BIT(offered))) || EXCUSED || extended || DISPLACED);
#endif
        assert(!(offered == jar && cookie != jar) || extended || SIGNED_OUT)
      fi;
      jarLogin = login && cookie != DELETION;
      jar = (cookie == DELETION -> NONE : cookie);
      jarHad = jarHad | BIT(jar)
    fi;
    /* Clears the request's variables, so that equal states are recognised. */
    offered = 0; current = 0; base = 0; todo = 0; renew = 0; kind = 0; token = 0; new = 0; expected = 0; next = 0;
    changes = 0; doubt = 0; asked = 0; login = 0; hasEnded = 0; hasRenewed = 0; gone = 0; writes = 0; creates = 0;
    round = 0; cookie = 0; answer = 0
  }
}

/* ---- What happens beside the requests ----------------------------------------------------------------- */

/* Delivers late calls, or never does. */
proctype Network() {
  byte p, answer;
end:
  do
  :: atomic {
      if
      :: lateKind[0] != 0 -> p = 0
      :: lateKind[1] != 0 -> p = 1
      :: lateKind[2] != 0 -> p = 2
      fi;
      if
      :: lateKind[p] == UPDATE -> applyUpdate(lateToken[p], lateExpected[p], lateNext[p], lateNew[p], answer)
      :: lateKind[p] == CREATE -> applyCreate(lateToken[p], lateNext[p], answer)
      fi;
      printf("late call of %d arrives: kind %d, %d -> %d, answer %d\n", p, lateKind[p], lateToken[p], lateNew[p], answer);
      lateKind[p] = 0; lateToken[p] = 0; lateExpected[p] = 0; lateNext[p] = 0; lateNew[p] = 0;
      p = 0; answer = 0
    }
#ifdef MARK_LATER
  :: atomic {
      marksUnderWay != 0 ->
      do
      :: p < TOKENS && (marksUnderWay & BIT(p)) -> break
      :: p < TOKENS -> p++
      :: p == TOKENS -> break
      od;
      if
      :: p < TOKENS && state[p] == ABSENT -> state[p] = MARK; marksUnderWay = marksUnderWay & ~BIT(p)
      :: else
      fi;
      p = 0
    }
#endif
  od
}

#define holdsOrigin(t) (state[t] == LIVE && (data[t] & ORIGIN))

#define canEnd(t) (events > 0 && (state[t] == LIVE || state[t] == MARK))

/* A row or a mark expires. */
inline pass(t) {
  events--;
  if
  :: state[t] == MARK -> state[t] = ABSENT; data[t] = 0; moved = moved & ~BIT(t); unmarked = 1
#ifdef CLOCK
  :: state[t] == LIVE -> state[t] = DUE
#else
  :: state[t] == LIVE -> endRow(t)
#endif
  fi;
  printf("the time of %d is over\n", t)
}

/* A row ends by its expiry, a mark does, or destroyAll() ends every row of a user. */
proctype Events() {
  byte t;
  short seen;
end:
  do
  :: atomic { canEnd(FIRST) -> pass(FIRST) }
  :: atomic { canEnd(RENEWED(0)) -> pass(RENEWED(0)) }
  :: atomic { canEnd(RENEWED(1)) -> pass(RENEWED(1)) }
  :: atomic { canEnd(RENEWED(2)) -> pass(RENEWED(2)) }
  :: atomic {
      events > 0 -> events--;
      t = 1;
      do
      :: t < TOKENS && isRow(t) -> seen = seen | BIT(t); t++
      :: t < TOKENS && !isRow(t) -> t++
      :: t == TOKENS -> break
      od;
      printf("destroyAll() finds %d\n", seen);
#ifdef DESTROY_ALL_IN_TWO_STEPS
      t = 1
    }
    atomic {
#endif
      t = 1;
      do
      :: t < TOKENS && (seen & BIT(t)) && isRow(t) -> endRow(t); t++
      :: t < TOKENS && !((seen & BIT(t)) && isRow(t)) -> t++
      :: t == TOKENS -> break
      od;
      ended = ended | ORIGIN;
      assert(!(holdsOrigin(FIRST) || holdsOrigin(RENEWED(0)) || holdsOrigin(RENEWED(1)) || holdsOrigin(RENEWED(2))) || REVIVED);
      t = 0;
      seen = 0
    }
  od
}

#ifdef CLOCK
/* A touch that was sent while the row was live and arrives at any time, and a purge. */
proctype Clock() {
  bit touched, found;
end:
  do
  :: atomic {
      !touched ->
      touched = 1;
      if
      :: state[FIRST] == DUE ->
        mayLive(FIRST, data[FIRST]);
        state[FIRST] = LIVE
#ifndef LATE_TOUCH
        ; extended = 1    /* its caller's clock was behind: a request that found the row expired was right */
#endif
#ifdef TOUCH_INSERTS
      :: state[FIRST] == ABSENT -> mayLive(FIRST, data[FIRST]); state[FIRST] = LIVE
#endif
#ifdef TOUCH_TAKES_MARK
      :: state[FIRST] == MARK -> assert(0 || ENDLESS_MARK)
#endif
      :: else
      fi
    }
#ifdef PURGE_IN_TWO_STEPS
  :: atomic { state[FIRST] == DUE && !found -> found = 1 }
  :: atomic {
      found -> found = 0;
      if
      :: isRow(FIRST) -> assert(state[FIRST] == DUE || LOST); endRow(FIRST)
      :: else
      fi
    }
#else
  :: atomic { state[FIRST] == DUE -> endRow(FIRST) }
#endif
  od
}
#endif

init {
  atomic {
    state[FIRST] = LIVE;
    data[FIRST] = ORIGIN;
    run Request(0);
    run Request(1);
#if REQUESTS > 2
    run Request(2);
#endif
    run Network();
    run Events();
#ifdef CLOCK
    run Clock()
#endif
  }
}
