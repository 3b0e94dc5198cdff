-- What waits to be counted and what waits to be settled have an index each, and no cleans are in both.
SET LOCAL lock_timeout = '5s';

DROP INDEX clean_requests_unsettled;
CREATE INDEX clean_requests_unsettled ON clean_requests (undo_until) WHERE state = 'applied' AND counted_at IS NOT NULL;
