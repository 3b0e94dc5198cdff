-- Editing one's own messages.
SET LOCAL lock_timeout = '5s';

-- when its sender last changed what it says; null: never
ALTER TABLE messages ADD COLUMN edited_at bigint;
