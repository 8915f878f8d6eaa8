def propose(session, source): raise NotImplementedError
